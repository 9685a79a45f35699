package sim

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A Fault is one way in which a device may misbehave, by the name that
// `--fault NAME[=VALUE]` takes.
type Fault struct {
	Name  string
	Value string // what the value is, empty where the fault takes none; in brackets where it may be left out
	Text  string // one sentence
}

// faults is the set that one device has.
type faults struct {
	noLocation     bool
	fullStatus     int // 0: the one a device should answer
	logoutRefused  int // 0: logouts work
	earlyExpiry    time.Duration
	stray          int // every n-th call with a living token; 0: none
	noSessions     bool
	idReuse        bool
	loginHTML      bool
	dropLoginEvery int // 0: none
}

// faultTable is every fault there is; a new one needs a line here and the place
// that obeys it.
var faultTable = []struct {
	Fault
	set func(f *faults, value string) error
}{
	{Fault{"no-location", "", "a login answer has no Location header"},
		flag(func(f *faults) { f.noLocation = true })},
	{Fault{"login-full-status", "503|400|403", "how the device says that it has no session to give"},
		oneOf(func(f *faults) *int { return &f.fullStatus }, 503, 400, 403)},
	{Fault{"logout-refused", "[STATUS]", "no session can be ended: a DELETE gets STATUS (503), the session lives on"},
		status(func(f *faults) *int { return &f.logoutRefused }, http.StatusServiceUnavailable)},
	{Fault{"early-expiry", "DURATION", "a session ends DURATION after its login, used or not, whatever SessionTimeout says"},
		func(f *faults, value string) (err error) {
			f.earlyExpiry, err = time.ParseDuration(value)
			if err == nil && f.earlyExpiry <= 0 {
				err = errors.New("not above 0")
			}
			return err
		}},
	{Fault{"stray-401", "N", "every Nth call with a living session's token is answered 401"},
		every(func(f *faults) *int { return &f.stray })},
	{Fault{"no-sessions", "", "the device knows HTTP Basic only: no session service, no link to one"},
		flag(func(f *faults) { f.noSessions = true })},
	{Fault{"id-reuse", "", "a new session gets the lowest free number as its id, so ids come back"},
		flag(func(f *faults) { f.idReuse = true })},
	{Fault{"login-html-error", "", "every login is answered 500 with an HTML page"},
		flag(func(f *faults) { f.loginHTML = true })},
	{Fault{"drop-login-answer", "N", "every Nth login makes its session, then the connection is closed instead of an answer"},
		every(func(f *faults) *int { return &f.dropLoginEvery })},
}

// Faults returns every fault that Config.Faults takes, in a fixed order.
func Faults() []Fault {
	list := make([]Fault, len(faultTable))
	for i, f := range faultTable {
		list[i] = f.Fault
	}
	return list
}

// CheckFaults reports what is wrong with a list of NAME or NAME=VALUE.
func CheckFaults(list []string) error {
	_, err := parseFaults(list)
	return err
}

// parseFaults reads NAME or NAME=VALUE, each name once.
func parseFaults(list []string) (faults, error) {
	var f faults
	seen := make(map[string]bool)
	for _, item := range list {
		name, value, _ := strings.Cut(item, "=")
		if seen[name] {
			return faults{}, fmt.Errorf("fault %s: given twice", name)
		}
		seen[name] = true
		if err := f.set(name, value); err != nil {
			return faults{}, fmt.Errorf("fault %s: %w", name, err)
		}
	}
	return f, nil
}

func (f *faults) set(name, value string) error {
	for _, row := range faultTable {
		if row.Name == name {
			return row.set(f, value)
		}
	}
	return errors.New("there is none of this name")
}

func flag(set func(*faults)) func(*faults, string) error {
	return func(f *faults, value string) error {
		if value != "" {
			return errors.New("it takes no value")
		}
		set(f)
		return nil
	}
}

func oneOf(field func(*faults) *int, allowed ...int) func(*faults, string) error {
	return func(f *faults, value string) error {
		n, err := strconv.Atoi(value)
		for _, a := range allowed {
			if err == nil && n == a {
				*field(f) = n
				return nil
			}
		}
		return fmt.Errorf("value %q is not one of %v", value, allowed)
	}
}

func status(field func(*faults) *int, byDefault int) func(*faults, string) error {
	return func(f *faults, value string) error {
		*field(f) = byDefault
		if value == "" {
			return nil
		}
		n, err := strconv.Atoi(value)
		if err != nil || n < 400 || n > 599 {
			return fmt.Errorf("value %q is not a status from 400 to 599", value)
		}
		*field(f) = n
		return nil
	}
}

func every(field func(*faults) *int) func(*faults, string) error {
	return func(f *faults, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("value %q is not a number from 1 up", value)
		}
		*field(f) = n
		return nil
	}
}
