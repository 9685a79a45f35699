"""Reads a whole Redfish tree with the DMTF Python library.

Starts at the root and at the paths in the file that the first argument names
(one a line), follows every @odata.id, and prints {path: [status, body in
base64, Location, Link]}.
"""

import base64
import json
import sys

import redfish

from scenario import BASE, CA, PASSWORD, USER

LIMIT = 20000  # more resources than any tree of the tests has


def links(value):
    """Every @odata.id below a JSON value, without fragments."""
    if isinstance(value, dict):
        for name, v in value.items():
            if name == "@odata.id" and isinstance(v, str):
                yield v.partition("#")[0]
            else:
                yield from links(v)
    elif isinstance(value, list):
        for v in value:
            yield from links(v)


def main():
    c = redfish.redfish_client(base_url=BASE, username=USER, password=PASSWORD, cafile=CA, timeout=60, max_retry=0)
    c.login(auth="session")
    with open(sys.argv[1]) as f:
        todo = ["/redfish/v1/"] + f.read().split()
    seen, out = set(todo), {}
    while todo and len(out) < LIMIT:
        path = todo.pop()
        answer = c.get(path)
        out[path] = [answer.status, base64.b64encode(answer.read).decode(),
                     answer.getheader("Location") or "", answer.getheader("Link") or ""]
        try:
            body = json.loads(answer.read)
        except ValueError:
            continue
        for link in links(body):
            if link.startswith("/redfish/") and link not in seen:
                seen.add(link)
                todo.append(link)
    c.logout()
    json.dump(out, sys.stdout)


main()
