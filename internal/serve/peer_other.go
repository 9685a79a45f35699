//go:build !linux

package serve

import (
	"net"

	"github.com/postern/postern/auth"
)

// peerName: the socket tells nothing portable of the other end.
func peerName(net.Conn) auth.AccountName { return "local" }
