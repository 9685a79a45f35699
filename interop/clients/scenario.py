"""What every client script shares: where to go, and how to tell what happened.

The test gives the address and the credentials in the environment; the script
prints one JSON object on standard output and ends with 0, or ends with another
status and says on standard error what was not as it should be.
"""

import json
import os
import time

import requests

BASE = os.environ["POSTERN_BASE"]
USER = os.environ["POSTERN_USER"]
PASSWORD = os.environ["POSTERN_PASSWORD"]
CA = os.environ["POSTERN_CA"]
# Which system to reset, so that two clients do not switch the same one.
SYSTEM = int(os.environ.get("POSTERN_SYSTEM", "0"))
# How a session comes to its end in the middle: seconds of idleness, or "" for
# an administrator who deletes it.
EXPIRE = os.environ.get("POSTERN_EXPIRE", "")
# A device may take its time to switch.
PATIENCE = 30.0


def check(ok, message, *args):
    """Stops the script with the message unless ok."""
    if not ok:
        raise SystemExit(message % args if args else message)


def expect(response, *statuses):
    """Stops the script unless the answer's status is one of those."""
    check(response.status in statuses, "%s %s: status %s, want %s: %.300s",
          getattr(response.request, "method", "?"), getattr(response.request, "path", "?"),
          response.status, statuses, response.text)
    return response


def end_session(path):
    """Lets the session at path come to its end without its own client.

    path may be absolute or rooted, as the service told it.
    """
    if EXPIRE:
        time.sleep(float(EXPIRE))
        return
    url = path if path.startswith("https://") else BASE + path
    answer = requests.delete(url, auth=(USER, PASSWORD), verify=CA, timeout=30)
    check(answer.status_code in (200, 204), "DELETE of the session by an administrator: status %s: %.300s",
          answer.status_code, answer.text)


def session_count():
    """How many sessions the service lists to this account; a device without a session service has none."""
    answer = requests.get(BASE + "/redfish/v1/SessionService/Sessions", auth=(USER, PASSWORD), verify=CA, timeout=30)
    if answer.status_code == 404:
        return 0
    check(answer.status_code == 200, "GET of the sessions: status %s", answer.status_code)
    body = answer.json()
    check(body["Members@odata.count"] == len(body["Members"]), "Members@odata.count is not the number of members")
    return len(body["Members"])


def token_is_dead(token):
    """Whether the service refuses the token."""
    answer = requests.get(BASE + "/redfish/v1/Systems", headers={"X-Auth-Token": token}, verify=CA, timeout=30)
    return answer.status_code == 401


def other_state(power):
    """The power state to go to, and the reset type that leads there."""
    return ("Off", "ForceOff") if power == "On" else ("On", "On")


def other_boot(target):
    """The boot source to ask for, given the one that is set."""
    return "Hdd" if target == "Pxe" else "Pxe"


def wait_for(read, want, what):
    """Reads until want is there; devices switch some seconds after they said yes."""
    end = time.monotonic() + PATIENCE
    got = read()
    while got != want and time.monotonic() < end:
        time.sleep(0.2)
        got = read()
    check(got == want, "%s is %s after %.0f s, want %s", what, got, PATIENCE, want)


def done(**facts):
    """Reports success."""
    print(json.dumps(facts))
