package demo

import (
	"fmt"
	"strings"

	"github.com/postern/postern/internal/sim"
)

const (
	directTitle  = "1  Straight at the BMC"
	posternTitle = "2  The same clients, through Postern"
)

// opening says, before anything else happens, what is going to be seen.
func (s style) opening(c crowd, l sim.Latency) string {
	return s.paint(fmt.Sprintf("%d impatient clients and one BMC", c.clients), bold) + fmt.Sprintf(`

   The BMC is simulated, all else is real. It has %d sessions to give, locks an
   account after %d wrong passwords, and takes its time: %s for a login, %s
   for a read. Each client gets the service root, logs in, reads twice and logs
   out. Where all sessions are taken it comes %d times. %d clients are of a job
   with a dead password; one in %d of the others dies before it logs out.

`, bmcSlots, bmcLockout, seconds(l.Login), seconds(l.Other), c.tries, c.dead(), dyingOneIn)
}

// judgement is the sentence under the table.
func (s style) judgement(r Result) string {
	p := r.Postern
	if r.Kept {
		return s.paint(fmt.Sprintf("Every client with a right password was served, through %s of the BMC.", plural(p.Logins, "login")), green) + "\n"
	}
	var wrong []string
	if p.Served < p.Good {
		wrong = append(wrong, plural(p.Good-p.Served, "client")+" with a right password not served")
	}
	if p.DeadServed > 0 {
		wrong = append(wrong, plural(p.DeadServed, "client")+" with a dead password served")
	}
	if p.Leaked > 0 {
		wrong = append(wrong, plural(p.Leaked, "session")+" leaked")
	}
	if p.LockedAccounts > 0 {
		wrong = append(wrong, plural(p.LockedAccounts, "account")+" locked")
	}
	return s.paint("Postern did not keep its promise: "+strings.Join(wrong, ", ")+".", red) + "\n"
}
