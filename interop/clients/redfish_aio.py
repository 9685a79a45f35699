"""`redfish.aio`, the asynchronous half of the DMTF Python library: session, basic, relogin."""

import asyncio
import ssl
import sys

import aiohttp
from redfish.aio import AsyncRedfishClient

from scenario import (BASE, CA, PASSWORD, SYSTEM, USER, check, done, end_session, expect, other_state, session_count,
                      token_is_dead)

SYSTEMS = "/redfish/v1/Systems"


async def with_client(work):
    connector = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=CA))
    async with aiohttp.ClientSession(connector=connector) as session:
        await work(AsyncRedfishClient(BASE, USER, PASSWORD, session=session, timeout=60))


async def use(c):
    members = expect(await c.get(SYSTEMS), 200).dict["Members"]
    path = members[SYSTEM]["@odata.id"]
    system = expect(await c.get(path), 200).dict
    want, kind = other_state(system["PowerState"])
    expect(await c.post(system["Actions"]["#ComputerSystem.Reset"]["target"], body={"ResetType": kind}), 200, 202, 204)
    for _ in range(150):
        if (await c.get(path)).dict["PowerState"] == want:
            return
        await asyncio.sleep(0.2)
    check(False, "PowerState did not become %s", want)


async def session(c):
    before = session_count()
    await c.login()
    token = c._session_key
    check(session_count() == before + 1, "the session is not listed")
    await use(c)
    await c.logout()
    check(token_is_dead(token), "the token lives after the logout")
    check(session_count() == before, "the session is listed after the logout")
    done(token=token)


async def basic(c):
    before = session_count()
    await c.login(auth="basic")
    await use(c)
    await c.logout()
    check(session_count() == before, "Basic left a session behind")
    done()


async def relogin(c):
    """Five reads at once meet a dead session: the client logs in once and all are served."""
    await c.login()
    first = c._session_key
    before = session_count()
    end_session(c._session_location)
    answers = await asyncio.gather(*(c.get(SYSTEMS) for _ in range(5)))
    for a in answers:
        expect(a, 200)
    second = c._session_key
    check(second != first, "no new token")
    check(session_count() == before, "%d sessions are listed, want %d", session_count(), before)
    await c.logout()
    check(token_is_dead(second), "the token lives after the logout")
    done(tokens=[first, second])


asyncio.run(with_client({"session": session, "basic": basic, "relogin": relogin}[sys.argv[1]]))
