package demo

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A style is how a terminal is drawn on. The zero style is plain ASCII.
type style struct {
	colour bool
	blocks bool // the terminal shows UTF-8
}

// An ink is an SGR parameter of ECMA-48.
type ink string

const (
	bold   ink = "1"
	faint  ink = "2"
	red    ink = "31"
	green  ink = "32"
	yellow ink = "33"
)

func (s style) paint(text string, with ink) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + string(with) + "m" + text + "\x1b[0m"
}

// bar draws n of max, width characters wide. Whatever is above nothing shows.
func (s style) bar(n, max, width int, with ink) string {
	on, off := "#", "."
	if s.blocks {
		on, off = "█", "░"
	}
	filled := 0
	if max > 0 {
		filled = min(width, (n*width+max-1)/max)
	}
	return s.paint(strings.Repeat(on, filled), with) + s.paint(strings.Repeat(off, width-filled), faint)
}

const (
	noteColumn = 32 // where the last column of a panel begins
	barWidth   = 44
)

// panel draws the state of a run. It always has the same number of lines.
func (s style) panel(title string, r Figures) []string {
	took := seconds(r.Took)
	space := noteColumn + barWidth - utf8.RuneCountInString(title) - len(took)
	served, sessions := green, green
	if r.Sessions >= r.Slots {
		sessions = red
	}
	return []string{
		s.paint(title+strings.Repeat(" ", max(1, space))+took, bold),
		row("served", fmt.Sprintf("%d of %d", r.Served, r.Good), s.bar(r.Served, r.Good, barWidth, served)),
		row("logged in", fmt.Sprint(r.LoggedIn), s.bar(r.LoggedIn, r.Good, barWidth, yellow)),
		row("refused", fmt.Sprint(r.Refused()), s.alarm(reasons(r.Tally), r.Refused())),
		row("BMC sessions", fmt.Sprintf("%d of %d", r.Sessions, r.Slots), s.bar(r.Sessions, r.Slots, barWidth, sessions)),
		row("BMC logins", fmt.Sprint(r.Logins), s.alarm(refusedLogins(r), r.LoginsRefused)),
		row("leaked sessions", fmt.Sprint(r.Leaked), s.alarm(leftBehind(r), r.Leaked)),
		row("locked accounts", fmt.Sprint(r.LockedAccounts), s.alarm(locked(r), r.LockedAccounts)),
	}
}

// row is one line of a panel.
func row(name, value, note string) string {
	return strings.TrimRight(fmt.Sprintf("   %-16s%-12s %s", name, value, note), " ")
}

// alarm paints a note red where the figure it explains is not zero.
func (s style) alarm(note string, figure int) string {
	if figure > 0 {
		return s.paint(note, red)
	}
	return s.paint(note, faint)
}

// reasons says why clients were refused.
func reasons(t Tally) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s %d", what, n))
		}
	}
	add(t.Full, "no session")
	add(t.Denied, "locked out")
	add(t.TimedOut, "timed out")
	add(t.Failed, "failed")
	return strings.Join(parts, ", ")
}

func refusedLogins(r Figures) string {
	if r.LoginsRefused == 0 {
		return ""
	}
	return fmt.Sprintf("and %d refused", r.LoginsRefused)
}

func leftBehind(r Figures) string {
	if r.Left == 0 {
		return ""
	}
	return fmt.Sprintf("%s died without logging out", plural(r.Left, "client"))
}

func locked(r Figures) string {
	if r.LockedAccounts == 0 {
		return ""
	}
	return "the right password is refused, too"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// sentence is the state of a run as one plain line.
func sentence(r Figures) string {
	return fmt.Sprintf("%6s served %d/%d, refused %d; BMC sessions %d/%d, logins %d, leaked %d, locked %d",
		seconds(r.Took), r.Served, r.Good, r.Refused(), r.Sessions, r.Slots, r.Logins, r.Leaked, r.LockedAccounts)
}
