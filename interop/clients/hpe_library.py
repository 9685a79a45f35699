"""What the scripts of HPE's page do with HPE's own library, one name each.

Where the page's script prints a name that it does not define, or hands over what
the library does not take, this one has the correction; the table in
docs/compatibility.md says which.
"""
import json
import os
import sys

from redfish import RedfishClient

base = os.environ["POSTERN_BASE"]
user, password = os.environ["POSTERN_USER"], os.environ["POSTERN_PASSWORD"]


def fail(text):
    sys.exit("hpe_library: " + text)


def client(**more):
    return RedfishClient(base_url=base, username=user, password=password, **more)


def basic():
    c = client()
    c.login(auth="basic")
    response = c.get("/redfish/v1/Systems/")
    c.logout()
    if response.status != 200 or not response.dict["Members"]:
        fail("systems: %s" % response.status)
    return {}


def session():
    c = client()
    c.login(auth="session")
    key, uri = c.session_key, c.session_location
    response = c.get(uri)
    c.logout()
    if response.status != 200 or response.dict["UserName"] != user or response.dict["@odata.id"].rstrip("/") != uri.rstrip("/"):
        fail("session: %s %s" % (response.status, response.text))
    return {"Token": key}


def certificate(**more):
    """A login with a certificate; more goes to the constructor."""
    files = {"cert_file": os.environ["HPE_CERT"], "key_file": os.environ["HPE_KEY"]}
    if os.environ.get("HPE_TRUST"):
        files["ca_certs"] = os.environ["HPE_TRUST"]
    if os.environ.get("HPE_PASSPHRASE"):
        files["key_password"] = os.environ["HPE_PASSPHRASE"]
    c = RedfishClient(base_url=base, username=None, password=None, ca_cert_data=files, **more)
    c.login(auth="certificate")
    sessions = c.get("/redfish/v1/SessionService/Sessions/")
    mine = c.get(sessions.obj["Oem"]["Hpe"]["Links"]["MySession"]["@odata.id"])
    key = c.session_key
    c.logout()
    tag = mine.obj["Oem"]["Hpe"]["UserTag"]
    if mine.obj["UserName"] != "student" or tag != "Web UI":
        fail("the session is %s's, by %s" % (mine.obj["UserName"], tag))
    return {"Token": key}


def passphrase():
    """7.4 takes the passphrase of the user's key as a keyword alone."""
    word = os.environ.pop("HPE_PASSPHRASE")
    return certificate(key_password=word)


print(json.dumps(globals()[sys.argv[1]]()))
