"""The DMTF Python library `redfish` as administrator: change, lockout, role, history."""

import sys

import redfish
from redfish.messages import RedfishPasswordChangeRequiredError
from redfish.rest.v1 import InvalidCredentialsError

from scenario import BASE, CA, PASSWORD, SYSTEM, USER, check, done, expect, other_state, token_is_dead

SYSTEMS = "/redfish/v1/Systems"
SERVICE = "/redfish/v1/AccountService"
ACCOUNTS = SERVICE + "/Accounts"
ROLES = SERVICE + "/Roles"
SESSIONS = "/redfish/v1/SessionService"


def client(user, password):
    return redfish.redfish_client(base_url=BASE, username=user, password=password, cafile=CA, timeout=60, max_retry=0)


def basic(user=USER, password=PASSWORD):
    c = client(user, password)
    c.login(auth="basic")
    return c


def message(answer):
    """The key of the first message of an error."""
    return answer.dict["error"]["@Message.ExtendedInfo"][0]["MessageId"].split(".")[-1]


def refused(answer, status, key):
    expect(answer, status)
    check(message(answer) == key, "the message is %s, want %s", message(answer), key)


def good(user, password, auth="session"):
    """Whether a login is accepted. The session is ended again."""
    c = client(user, password)
    try:
        c.login(auth=auth)
    except InvalidCredentialsError:
        return False
    c.logout()
    return True


def change():
    """A new account has to change its password before anything else."""
    root = basic()
    body = {"UserName": "fresh", "Password": "First-pw.2026", "RoleId": "Operator", "PasswordChangeRequired": True}
    own = expect(root.post(ACCOUNTS, body=body), 201).getheader("Location").removeprefix(BASE)
    c = client("fresh", "First-pw.2026")
    try:
        c.login(auth="session")
        check(False, "nobody asked for another password")
    except RedfishPasswordChangeRequiredError as e:
        check(e.args[1] == own, "the account is said to be %s, not %s", e.args[1], own)
    token = c.get_session_key()
    refused(c.get(SYSTEMS), 403, "PasswordChangeRequired")
    refused(c.get(SESSIONS + "/Sessions"), 403, "PasswordChangeRequired")
    refused(c.patch(own, body={"Password": "Other-pw.2026", "Enabled": True}), 403, "PasswordChangeRequired")
    refused(basic("fresh", "First-pw.2026").get(SYSTEMS), 403, "PasswordChangeRequired")
    account = expect(c.get(own), 200)
    check(account.dict["PasswordChangeRequired"] is True, "the account says nothing of it")
    etag = {"If-Match": account.getheader("ETag")}
    expect(c.patch(own, body={"Password": "First-pw.2026x"}, headers=etag), 200, 204)
    check(expect(c.get(own), 200).dict["PasswordChangeRequired"] is False, "it is still required")
    expect(c.get(SYSTEMS), 200)
    c.logout()
    check(token_is_dead(token), "the token lives after the logout")
    check(not good("fresh", "First-pw.2026"), "the old password is still good")
    check(good("fresh", "First-pw.2026x"), "the new password is not good")

    # The same comes over sessions that live, when an administrator wants it.
    c = client("fresh", "First-pw.2026x")
    c.login(auth="session")
    expect(c.get(SYSTEMS), 200)
    expect(root.patch(own, body={"PasswordChangeRequired": True}), 200, 204)
    refused(c.get(SYSTEMS), 403, "PasswordChangeRequired")
    c.logout()
    expect(root.delete(own), 200, 204)
    done(token=token)


def lockout(cached):
    """Three wrong passwords lock an account, except for whom its good one is known already."""
    root = basic()
    expect(root.patch(SERVICE, body={"AccountLockoutThreshold": 3}), 200, 204)
    check(expect(root.get(SERVICE), 200).dict["AccountLockoutThreshold"] == 3, "the threshold is not 3")
    expect(root.post(ACCOUNTS, body={"UserName": "joe", "Password": "Right-pw.2026", "RoleId": "ReadOnly"}), 201)
    joe = ACCOUNTS + "/joe"
    known = basic("joe", "Right-pw.2026")
    expect(known.get(SYSTEMS), 200)
    for n in range(3):
        check(expect(root.get(joe), 200).dict["Locked"] is False, "locked after %d wrong passwords", n)
        check(not good("joe", "Wrong-pw.%d" % n, "session" if n % 2 else "basic"), "a wrong password is good")
    check(expect(root.get(joe), 200).dict["Locked"] is True, "not locked after 3 wrong passwords")
    expect(known.get(SYSTEMS), 200 if cached else 401)

    expect(root.post(ACCOUNTS, body={"UserName": "ann", "Password": "Right-pw.2026", "RoleId": "ReadOnly"}), 201)
    for n in range(3):
        check(not good("ann", "Wrong-pw.%d" % n), "a wrong password is good")
    check(not good("ann", "Right-pw.2026"), "a locked account is let in")
    check(not good("nobody", "Right-pw.2026"), "nobody is let in")
    refused(root.patch(joe, body={"Locked": True}), 400, "PropertyValueNotInList")
    done()


def role():
    """An account of a role of one's own may do what its privileges say, and nothing else."""
    root = basic()
    made = []

    def account(name, *privileges):
        expect(root.post(ROLES, body={"RoleId": name, "AssignedPrivileges": list(privileges)}), 201)
        expect(root.post(ACCOUNTS, body={"UserName": name, "Password": "Right-pw.2026", "RoleId": name}), 201)
        made.append(name)
        c = client(name, "Right-pw.2026")
        c.login(auth="session")
        return c

    path = expect(root.get(SYSTEMS), 200).dict["Members"][SYSTEM]["@odata.id"]
    reset = expect(root.get(path), 200).dict["Actions"]["#ComputerSystem.Reset"]["target"]

    def may(c, own, components=False, users=False, manager=False, myself=False):
        def try_(allowed, answer):
            if allowed:
                expect(answer, 200, 201, 202, 204)
            else:
                refused(answer, 403, "InsufficientPrivilege")

        kind = other_state(root.get(path).dict["PowerState"])[1]
        try_(True, c.get(path))
        try_(components, c.post(reset, body={"ResetType": kind}))
        try_(components, c.patch(path, body={"AssetTag": own}))
        try_(users, c.post(ACCOUNTS, body={"UserName": "by-" + own, "Password": "Right-pw.2026", "RoleId": "ReadOnly"}))
        try_(users, c.patch(SERVICE, body={"MinPasswordLength": 8}))
        try_(users or manager, c.get(ACCOUNTS + "/" + USER))
        try_(manager, c.patch(SESSIONS, body={"SessionTimeout": 1800}))
        try_(manager, c.patch("/redfish/v1/Managers/1/NetworkProtocol", body={"NTP": {"ProtocolEnabled": True}}))
        try_(myself or users, c.patch(ACCOUNTS + "/" + own, body={"Password": "Right-pw.2026"}))
        if users:
            expect(root.delete(ACCOUNTS + "/by-" + own), 200, 204)

    power = account("power", "Login", "ConfigureComponents")
    may(power, "power", components=True)
    may(account("people", "Login", "ConfigureUsers"), "people", users=True)
    may(account("net", "Login", "ConfigureManager"), "net", manager=True)

    # A change counts at once, in sessions that live too.
    expect(root.patch(ROLES + "/power", body={"AssignedPrivileges": ["Login"]}), 200, 204)
    may(power, "power")
    expect(root.delete(ROLES + "/power"), 409)
    refused(root.patch(ROLES + "/power", body={"AssignedPrivileges": ["Fly"]}), 400, "PropertyValueNotInList")
    expect(root.delete(ROLES + "/Operator"), 405)
    for name in made:
        expect(root.delete(ACCOUNTS + "/" + name), 200, 204)
        expect(root.delete(ROLES + "/" + name), 200, 204)
    expect(power.get(path), 401)
    done()


def history():
    """Former passwords do not come back."""
    root = basic()
    expect(root.patch(SERVICE, body={"EnforcePasswordHistoryCount": 2, "MinPasswordLength": 10}), 200, 204)
    expect(root.post(ACCOUNTS, body={"UserName": "old", "Password": "First-pw.2026", "RoleId": "ReadOnly"}), 201)
    own = ACCOUNTS + "/old"

    def to(password, *statuses):
        return expect(root.patch(own, body={"Password": password}), *statuses)

    to("First-pw.2026", 400)
    to("Second-pw.2026", 200, 204)
    to("First-pw.2026", 400)
    to("Third-pw.2026", 200, 204)
    to("Second-pw.2026", 400)
    to("First-pw.2026", 400)
    to("Short.1", 400)
    check(good("old", "Third-pw.2026"), "a refused change has changed something")
    to("Fourth-pw.2026", 200, 204)
    to("First-pw.2026", 200, 204)
    check(good("old", "First-pw.2026"), "the fourth change was lost")
    expect(root.delete(own), 200, 204)
    done()


{"change": change, "lockout": lambda: lockout(True), "lockout-device": lambda: lockout(False), "role": role,
 "history": history}[sys.argv[1]]()
