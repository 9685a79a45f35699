package demo

import (
	"fmt"
	"strings"
)

const (
	nameColumn = 36
	cellColumn = 16
)

// table shows the two runs side by side.
func (s style) table(r Result) string {
	d, p := r.Direct, r.Postern
	var b strings.Builder
	line := func(name, direct, postern string, bad bool) {
		with := green
		if bad {
			with = red
		}
		left := fmt.Sprintf("%*s", cellColumn, direct)
		if direct != postern {
			left = s.paint(left, red)
		}
		b.WriteString(fmt.Sprintf("   %-*s", nameColumn, name) + left + s.paint(fmt.Sprintf("%*s", cellColumn, postern), with) + "\n")
	}
	count := func(name string, direct, postern int) {
		line(name, fmt.Sprint(direct), fmt.Sprint(postern), postern > 0)
	}
	b.WriteString(s.paint(fmt.Sprintf("   %-*s%*s%*s", nameColumn, "", cellColumn, "direct", cellColumn, "through Postern"), bold) + "\n")
	line(fmt.Sprintf("served, of %d with a right password", p.Good), fmt.Sprint(d.Served), fmt.Sprint(p.Served), p.Served < p.Good)
	count("refused", d.Refused(), p.Refused())
	for _, why := range []struct {
		name            string
		direct, postern int
	}{
		{"no free session", d.Full, p.Full},
		{"locked out", d.Denied, p.Denied},
		{"timed out", d.TimedOut, p.TimedOut},
		{"failed", d.Failed, p.Failed},
	} {
		if why.direct+why.postern > 0 || why.name != "failed" {
			count("  "+why.name, why.direct, why.postern)
		}
	}
	line("clients logged in, at most", fmt.Sprint(d.MaxLoggedIn), fmt.Sprint(p.MaxLoggedIn), false)
	line("BMC sessions in use, at most", fmt.Sprintf("%d of %d", d.MaxSessions, d.Slots), fmt.Sprintf("%d of %d", p.MaxSessions, p.Slots), p.MaxSessions >= p.Slots)
	line("BMC logins", fmt.Sprint(d.Logins), fmt.Sprint(p.Logins), false)
	count("BMC logins refused", d.LoginsRefused, p.LoginsRefused)
	count("BMC sessions leaked at the end", d.Leaked, p.Leaked)
	count("BMC accounts locked", d.LockedAccounts, p.LockedAccounts)
	b.WriteString(s.paint(fmt.Sprintf("   %-*s%*s%*s", nameColumn, "time", cellColumn, seconds(d.Took), cellColumn, seconds(p.Took)), faint) + "\n")
	return b.String()
}
