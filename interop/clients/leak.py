"""Small programs that leakcheck watches: what people write with the libraries, with and without the last line."""

import os
import sys

URL = os.environ["POSTERN_URL"]
USER = os.environ["POSTERN_USER"]
PASSWORD = os.environ["POSTERN_PASSWORD"]
CA = os.environ["POSTERN_CA_FILE"]
SYSTEMS = "/redfish/v1/Systems"


def library(auth, logout, **trust):
    import redfish

    c = redfish.redfish_client(base_url=URL, username=USER, password=PASSWORD, timeout=30, max_retry=1, **trust)
    c.login(auth=auth)
    if c.get(SYSTEMS).status != 200:
        raise SystemExit("no systems")
    if logout:
        c.logout()


def library_asynchronous():
    import asyncio
    import ssl

    import aiohttp
    from redfish.aio import AsyncRedfishClient

    async def run():
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=CA))
        async with aiohttp.ClientSession(connector=connector) as session:
            c = AsyncRedfishClient(URL, USER, PASSWORD, session=session, timeout=30)
            await c.login()
            if (await c.get(SYSTEMS)).status != 200:
                raise SystemExit("no systems")
            await c.logout()

    asyncio.run(run())


def library_sushy(auth, verify, close):
    import sushy

    auth = {"auto": sushy.auth.SessionOrBasicAuth, "session": sushy.auth.SessionAuth, "basic": sushy.auth.BasicAuth}[auth](USER, PASSWORD)
    root = sushy.Sushy(URL, auth=auth, verify=verify)
    if not root.get_system_collection().members_identities:
        raise SystemExit("no systems")
    if not close:
        os._exit(0)  # as a program that is killed, or forks, ends


{
    "redfish-logout": lambda: library("session", True, cafile=CA),
    "redfish-forget": lambda: library("session", False, cafile=CA),
    "redfish-default": lambda: library("session", True),
    "redfish-basic": lambda: library("basic", True, cafile=CA),
    "aio": library_asynchronous,
    "sushy-auto": lambda: library_sushy("auto", CA, True),
    "sushy-session": lambda: library_sushy("session", CA, True),
    "sushy-killed": lambda: library_sushy("session", CA, False),
    "sushy-unverified": lambda: library_sushy("auto", False, True),
    "sushy-basic": lambda: library_sushy("basic", CA, True),
}[sys.argv[1]]()
