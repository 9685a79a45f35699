package serve

import (
	"net"
	"syscall"

	"github.com/postern/postern/auth"
)

// peerName says which user is at the other end of the administration socket.
func peerName(c net.Conn) auth.AccountName {
	u, ok := c.(*net.UnixConn)
	if !ok {
		return "local"
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return "local"
	}
	name := auth.AccountName("local")
	raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			name = localName(int(cred.Uid))
		}
	})
	return name
}
