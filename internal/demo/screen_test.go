package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/postern/postern/internal/sim"
)

var (
	directFigures = Figures{
		Tally: Tally{Good: 180, Dead: 20, Served: 9, Full: 31, Denied: 140, DeadDenied: 20, LoggedIn: 3, Left: 1},
		Slots: 4, Sessions: 4, MaxLoggedIn: 4, MaxSessions: 4, Logins: 9, LoginsRefused: 412, Leaked: 1, LockedAccounts: 1, Took: 5120 * time.Millisecond,
	}
	posternFigures = Figures{
		Tally: Tally{Good: 180, Dead: 20, Served: 180, DeadDenied: 20, Left: 15},
		Slots: 4, Sessions: 1, MaxLoggedIn: 172, MaxSessions: 1, Logins: 1, Took: 6940 * time.Millisecond,
	}
)

func lines(text string) string { return strings.TrimPrefix(text, "\n") }

func TestPanel(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		run  Figures
		want string
	}{
		{"before anything", Figures{Slots: 4, Tally: Tally{Good: 180}}, `
1  Straight at the BMC                                                 0.0 s
   served          0 of 180     ............................................
   logged in       0            ............................................
   refused         0
   BMC sessions    0 of 4       ............................................
   BMC logins      0
   leaked sessions 0
   locked accounts 0`},
		{"in trouble", directFigures, `
1  Straight at the BMC                                                 5.1 s
   served          9 of 180     ###.........................................
   logged in       3            #...........................................
   refused         171          no session 31, locked out 140
   BMC sessions    4 of 4       ############################################
   BMC logins      9            and 412 refused
   leaked sessions 1            1 client died without logging out
   locked accounts 1            the right password is refused, too`},
		{"served", posternFigures, `
1  Straight at the BMC                                                 6.9 s
   served          180 of 180   ############################################
   logged in       0            ............................................
   refused         0
   BMC sessions    1 of 4       ###########.................................
   BMC logins      1
   leaked sessions 0            15 clients died without logging out
   locked accounts 0`},
	} {
		got := strings.Join(style{}.panel("1  Straight at the BMC", c.run), "\n")
		if got != lines(c.want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, got, lines(c.want))
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	got := style{}.table(Result{Direct: directFigures, Postern: posternFigures})
	want := lines(`
                                                 direct through Postern
   served, of 180 with a right password               9             180
   refused                                          171               0
     no free session                                 31               0
     locked out                                     140               0
     timed out                                        0               0
   clients logged in, at most                         4             172
   BMC sessions in use, at most                  4 of 4          1 of 4
   BMC logins                                         9               1
   BMC logins refused                               412               0
   BMC sessions leaked at the end                     1               0
   BMC accounts locked                                1               0
   time                                           5.1 s           6.9 s
`)
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSentence(t *testing.T) {
	t.Parallel()
	const want = " 5.1 s served 9/180, refused 171; BMC sessions 4/4, logins 9, leaked 1, locked 1"
	if got := sentence(directFigures); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n, max int
		want   string
	}{{0, 4, "░░░░"}, {1, 180, "█░░░"}, {2, 4, "██░░"}, {4, 4, "████"}, {9, 4, "████"}, {1, 0, "░░░░"}} {
		if got := (style{blocks: true}).bar(c.n, c.max, 4, green); got != c.want {
			t.Errorf("bar(%d, %d) = %q, want %q", c.n, c.max, got, c.want)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want string }{
		{"abc", "abc"},
		{"abcdef", "abcd"},
		{"a█░█b", "a█░█"},
		{"a\x1b[31mbcdef\x1b[0m", "a\x1b[31mbcd\x1b[0m"},
		{"\x1b[1m\x1b[0m", "\x1b[1m\x1b[0m"},
		{"ab\x1b[", "ab\x1b["},
	} {
		if got := clip(c.in, 4); got != c.want {
			t.Errorf("clip(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

// The second state is drawn over the first, line by line.
func TestLiveRedraws(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	v := newView(Screen{Out: &out, Live: true})
	v.begin("title", Figures{Slots: 4})
	first := out.Len()
	v.end(posternFigures)
	again := out.String()[first:]
	if !strings.HasPrefix(again, "\x1b[8A\r") {
		t.Errorf("the second state begins %q, want eight lines up", again[:min(20, len(again))])
	}
	if n := strings.Count(again, clearRight+"\n"); n != 8 {
		t.Errorf("the second state has %d lines, want 8", n)
	}
	if !strings.HasPrefix(out.String(), hideCursor) || !strings.Contains(again, showCursor) {
		t.Error("the cursor is not hidden and shown again")
	}
}

func TestPlainHasNoEscapes(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	v := newView(Screen{Out: &out})
	v.say(v.opening(crowd{clients: 200}, sim.Slow))
	v.begin("title", Figures{})
	v.end(directFigures)
	v.say(v.table(Result{Direct: directFigures, Postern: posternFigures}))
	v.say(v.guide(playground{program: "postern", host: "127.0.0.1:1"}))
	if strings.ContainsAny(out.String(), "\x1b\r") {
		t.Errorf("got %q", out.String())
	}
}

// No line is wider than 80 columns, whatever happened, as long as the paths are short.
func TestFitsTheTerminal(t *testing.T) {
	t.Parallel()
	worst := Figures{Tally: Tally{Good: 180, Full: 70, Denied: 100, TimedOut: 10, Left: 180}, Slots: 4, Sessions: 4, LoginsRefused: 9999, Took: 10 * time.Second}
	s := style{blocks: true}
	text := s.opening(crowd{clients: 200, limit: 10 * time.Second}, sim.Slow) + strings.Join(s.panel("1  Straight at the BMC", worst), "\n") + "\n" +
		s.table(Result{Direct: worst, Postern: worst}) + sentence(worst) + "\n" +
		s.guide(playground{program: "postern", host: "127.0.0.1:65535", user: "admin", data: "/tmp/postern-demo-1234567890",
			passwordFile: "/tmp/postern-demo-1234567890/admin.password", loginFile: "/tmp/postern-demo-1234567890/data.json"})
	for line := range strings.Lines(text) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}
