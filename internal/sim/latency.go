package sim

import (
	"fmt"
	"strings"
	"time"
)

// A Latency is how long a device takes to answer, by the kind of request. The
// waits run beside each other, one for each request in flight. The zero Latency
// answers at once.
type Latency struct {
	Root   time.Duration // GET or HEAD of the service root
	Login  time.Duration // POST to the sessions collection
	Logout time.Duration // DELETE of a session
	Other  time.Duration // everything else
}

// Slow is a device as they are met in the field: logins cost most. It has the
// name `slow` on the command line.
var Slow = Latency{
	Root:   720 * time.Millisecond,
	Login:  time.Second,
	Logout: 950 * time.Millisecond,
	Other:  100 * time.Millisecond,
}

// maxLatency keeps a mistyped unit from making a device that never answers.
const maxLatency = 10 * time.Minute

// ParseLatency reads `slow`, one duration for everything (`0.1s`), or a list of
// kinds (`root=0.72s,login=1s,logout=0.95s,other=0.1s`), where a kind left out
// takes no time. An empty text is the zero Latency.
func ParseLatency(text string) (Latency, error) {
	switch {
	case text == "":
		return Latency{}, nil
	case text == "slow":
		return Slow, nil
	case !strings.Contains(text, "="):
		d, err := parseWait(text)
		return Latency{d, d, d, d}, err
	}
	var l Latency
	kinds := map[string]*time.Duration{"root": &l.Root, "login": &l.Login, "logout": &l.Logout, "other": &l.Other}
	for item := range strings.SplitSeq(text, ",") {
		kind, value, _ := strings.Cut(item, "=")
		field := kinds[kind]
		if field == nil {
			return Latency{}, fmt.Errorf("latency %q: %q is not one of root, login, logout, other, each once", text, kind)
		}
		delete(kinds, kind)
		d, err := parseWait(value)
		if err != nil {
			return Latency{}, err
		}
		*field = d
	}
	return l, nil
}

func parseWait(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("latency %q: not a duration such as 0.1s or 950ms", text)
	}
	if d < 0 || d > maxLatency {
		return 0, fmt.Errorf("latency %q: not between 0 and %v", text, maxLatency)
	}
	return d, nil
}

// String returns what ParseLatency reads back as l.
func (l Latency) String() string {
	if l.Root == l.Login && l.Root == l.Logout && l.Root == l.Other {
		return l.Other.String()
	}
	return fmt.Sprintf("root=%v,login=%v,logout=%v,other=%v", l.Root, l.Login, l.Logout, l.Other)
}
