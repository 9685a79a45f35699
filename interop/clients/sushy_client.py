"""`sushy`, OpenStack's client: session, basic, auto, relogin."""

import sys

import sushy
from sushy import auth

from scenario import (BASE, CA, PASSWORD, SYSTEM, USER, check, done, end_session, other_boot, other_state, session_count,
                      token_is_dead, wait_for)


def client(method):
    return sushy.Sushy(BASE, verify=CA, auth=method, server_side_retries=0)


def use(root):
    """List, read, reset, boot override."""
    systems = root.get_system_collection().get_members()
    check(systems, "no system is listed")
    system = systems[SYSTEM]
    want, kind = other_state("On" if system.power_state == sushy.PowerState.ON else "Off")
    system.reset_system(sushy.ResetType(kind))

    def power():
        system.refresh(force=True)
        return system.power_state

    wait_for(power, sushy.PowerState(want), "power_state")
    source = sushy.BootSource(other_boot(system.boot.target.value if system.boot.target else "None"))
    system.set_system_boot_options(target=source, enabled=sushy.BootSourceOverrideEnabled.ONCE)

    def boot():
        system.refresh(force=True)
        return system.boot.target

    wait_for(boot, source, "boot target")


def session():
    before = session_count()
    method = auth.SessionAuth(USER, PASSWORD)
    root = client(method)
    token = method.get_session_key()
    check(token, "no token")
    check(session_count() == before + 1, "the session is not listed")
    use(root)
    method.close()
    check(token_is_dead(token), "the token lives after close")
    check(session_count() == before, "the session is listed after close")
    done(token=token)


def basic():
    before = session_count()
    use(client(auth.BasicAuth(USER, PASSWORD)))
    check(session_count() == before, "Basic left a session behind")
    done()


def auto():
    """The way Ironic uses it: a session where there is one, Basic elsewhere."""
    before = session_count()
    method = auth.SessionOrBasicAuth(USER, PASSWORD)
    root = client(method)
    token = method.get_session_key()
    use(root)
    method.close()
    check(session_count() == before, "a session is left behind")
    done(token=token, way="session" if token else "basic")


def relogin():
    """A dead session in the middle: sushy logs in again and repeats the call by itself."""
    before = session_count()
    method = auth.SessionAuth(USER, PASSWORD)
    root = client(method)
    first = method.get_session_key()
    root.get_system_collection()
    end_session(method.get_session_resource_id())
    root.get_system_collection().refresh(force=True)
    second = method.get_session_key()
    check(second and second != first, "no new token")
    method.close()
    check(session_count() == before, "a session is left behind")
    done(tokens=[first, second])


{"session": session, "basic": basic, "auto": auto, "relogin": relogin}[sys.argv[1]]()
