"""The DMTF Python library `redfish` with a client certificate: it has no such
login, but takes an adapter for the connection, and needs no login() then."""

import os
import ssl

import redfish
import requests.adapters

from scenario import BASE, CA, SYSTEM, check, done, expect, other_state, session_count, wait_for

SYSTEMS = "/redfish/v1/Systems"


class CertificateAdapter(requests.adapters.HTTPAdapter):
    """Shows the certificate in every handshake."""

    def __init__(self, cert, key):
        self.context = ssl.create_default_context(cafile=CA)
        self.context.load_cert_chain(cert, key)
        super().__init__()

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)


before = session_count()
adapter = CertificateAdapter(os.environ["POSTERN_CERT"], os.environ["POSTERN_KEY"])
c = redfish.redfish_client(base_url=BASE, cafile=CA, timeout=60, max_retry=0, https_adapter=adapter)
members = expect(c.get(SYSTEMS), 200).dict["Members"]
check(members, "no system is listed")
path = members[SYSTEM]["@odata.id"]
system = expect(c.get(path), 200).dict
want, kind = other_state(system["PowerState"])
expect(c.post(system["Actions"]["#ComputerSystem.Reset"]["target"], body={"ResetType": kind}), 200, 202, 204)
wait_for(lambda: c.get(path).dict["PowerState"], want, "PowerState")
check(c.get_session_key() is None, "the library has a session")
check(session_count() == before, "a session was made")

plain = redfish.redfish_client(base_url=BASE, cafile=CA, timeout=60, max_retry=0)
expect(plain.get(SYSTEMS), 401)
done(system=path)
