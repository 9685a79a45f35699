"""The DMTF Python library `redfish`: session, basic, relogin, wrong."""

import sys

import redfish
from redfish.rest.v1 import BadRequestError, InvalidCredentialsError

from scenario import (BASE, CA, PASSWORD, SYSTEM, USER, check, done, end_session, expect, other_boot, other_state,
                      session_count, token_is_dead, wait_for)

SYSTEMS = "/redfish/v1/Systems"


def client(password=PASSWORD):
    return redfish.redfish_client(base_url=BASE, username=USER, password=password, cafile=CA, timeout=60, max_retry=0)


def use(c):
    """List, read, reset, boot override."""
    members = expect(c.get(SYSTEMS), 200).dict["Members"]
    check(members, "no system is listed")
    path = members[SYSTEM]["@odata.id"]
    system = expect(c.get(path), 200).dict
    check(system["@odata.id"] == path, "the system calls itself %s, not %s", system["@odata.id"], path)

    want, kind = other_state(system["PowerState"])
    target = system["Actions"]["#ComputerSystem.Reset"]["target"]
    expect(c.post(target, body={"ResetType": kind}), 200, 202, 204)
    wait_for(lambda: c.get(path).dict["PowerState"], want, "PowerState")

    answer = c.get(path)
    source = other_boot(answer.dict["Boot"]["BootSourceOverrideTarget"])
    boot = {"Boot": {"BootSourceOverrideTarget": source, "BootSourceOverrideEnabled": "Once"}}
    etag = answer.getheader("ETag")
    expect(c.patch(path, body=boot, headers={"If-Match": etag} if etag else None), 200, 202, 204)
    wait_for(lambda: c.get(path).dict["Boot"]["BootSourceOverrideTarget"], source, "BootSourceOverrideTarget")
    return path


def session():
    before = session_count()
    c = client()
    c.login(auth="session")
    token, location = c.get_session_key(), c.get_session_location()
    check(token and location, "no token or no location")
    check(session_count() == before + 1, "the session is not listed")
    path = use(c)
    c.logout()
    check(token_is_dead(token), "the token lives after the logout")
    check(session_count() == before, "the session is listed after the logout")
    done(token=token, location=location, system=path)


def basic():
    before = session_count()
    c = client()
    c.login(auth="basic")
    path = use(c)
    c.logout()
    check(session_count() == before, "Basic left a session behind")
    done(system=path)


def relogin():
    """Protocol sequence: the second login goes out with the dead token in its header."""
    c = client()
    c.login(auth="session")
    first = c.get_session_key()
    expect(c.get(SYSTEMS), 200)
    end_session(c.get_session_location())
    expect(c.get(SYSTEMS), 401)
    try:
        c.logout()
        check(False, "logout of an ended session was accepted")
    except BadRequestError:
        pass
    check(c.get_session_key() == first, "the library forgot the dead token: nothing is shown")
    c.login(auth="session")
    second = c.get_session_key()
    check(second and second != first, "no new token")
    expect(c.get(SYSTEMS), 200)
    c.logout()
    check(token_is_dead(second), "the token lives after the logout")
    done(tokens=[first, second])


def wrong():
    """A wrong password is the caller's own affair: 401, in both ways."""
    for auth in ("session", "basic"):
        try:
            client(PASSWORD + "x").login(auth=auth)
        except InvalidCredentialsError:
            continue
        check(False, "%s login with a wrong password was accepted", auth)
    done()


{"session": session, "basic": basic, "relogin": relogin, "wrong": wrong}[sys.argv[1]]()
