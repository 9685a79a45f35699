package redfish

import (
	"errors"
	"net/http"
	"net/netip"

	"github.com/postern/postern/auth"
	rf "github.com/postern/postern/redfish"
)

// source is the peer's address, without zone; the zero Addr where the server
// does not tell one.
func source(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap().WithZone("")
}

// wrongPassword answers for a SessionAccountPassword that is not right. It is
// no 401: the request itself is well authenticated, and clients would log in
// again and lose a session each time.
func wrongPassword(err error, action string) error {
	if !errors.Is(err, auth.ErrBadCredentials) {
		return err
	}
	p := rf.BadRequest("ActionParameterValueError", "SessionAccountPassword", action)
	p.Related, p.Err = []string{"#/SessionAccountPassword"}, err
	return p
}

// maxEcho bounds how much of a wrong value an answer repeats, in bytes.
const maxEcho = 100

func short(s string) string {
	if len(s) > maxEcho {
		return "..."
	}
	return s
}
