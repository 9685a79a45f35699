package sim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
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

// faults is the set that one device has. Where two of them want the same, the
// one that was given first goes first.
type faults struct {
	noLocation      bool
	fullStatus      int // 0: the one a device should answer
	logoutRefused   int // 0: logouts work
	earlyExpiry     time.Duration
	stray           int // every n-th call with a living token; 0: none
	noSessions      bool
	idReuse         bool
	evicts          bool
	loginHTML       bool
	dropLoginEvery  int // 0: none
	dropLogoutEvery int // 0: none
	newCertificate  int // answers until then; 0: never
	badLicence      bool
	timeByDHCP      bool

	// inward gives the URI that a request has inside the device, by the one that
	// it was sent to.
	inward []func(uri string) string
	// before may answer in the place of the device, and then returns true.
	before []func(x *exchange) bool
	// after alters the device's answer.
	after []func(x *exchange)
	// deliver may send the answer in its own way, and then returns true.
	deliver []func(x *exchange, w http.ResponseWriter) bool
}

// holds reports whether an answer must wait until it is whole.
func (f *faults) holds() bool { return len(f.before)+len(f.after)+len(f.deliver) > 0 }

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

// A setter reads a fault's value and does what the fault asks for.
type setter = func(f *faults, value string) error

func flag(set func(*faults)) setter {
	return func(f *faults, value string) error {
		if value != "" {
			return errors.New("it takes no value")
		}
		set(f)
		return nil
	}
}

// word is a setter whose value is one of the words; byDefault may stand for a
// value left out, "" for none.
func word(set func(*faults, string), byDefault string, words ...string) setter {
	return func(f *faults, value string) error {
		if value == "" {
			value = byDefault
		}
		if !slices.Contains(words, value) || value == "" {
			return fmt.Errorf("value %q is not one of %s", value, strings.Join(words, ", "))
		}
		set(f, value)
		return nil
	}
}

// oneOf is word for statuses; 0: there is no default.
func oneOf(set func(*faults, int), byDefault int, allowed ...int) setter {
	return func(f *faults, value string) error {
		n, err := strconv.Atoi(value)
		if value == "" {
			n, err = byDefault, nil
		}
		if err != nil || n == 0 || !slices.Contains(allowed, n) {
			return fmt.Errorf("value %q is not one of %v", value, allowed)
		}
		set(f, n)
		return nil
	}
}

// status is a setter whose value is a status that refuses.
func status(set func(*faults, int), byDefault int) setter {
	return func(f *faults, value string) error {
		n, err := strconv.Atoi(value)
		if value == "" {
			n, err = byDefault, nil
		}
		if err != nil || n < 400 || n > 599 {
			return fmt.Errorf("value %q is not a status from 400 to 599", value)
		}
		set(f, n)
		return nil
	}
}

// every is a setter whose value is a number from 1 up.
func every(set func(*faults, int)) setter {
	return func(f *faults, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("value %q is not a number from 1 up", value)
		}
		set(f, n)
		return nil
	}
}

// wait is a setter whose value is a duration above 0, up to limit.
func wait(limit time.Duration, set func(*faults, time.Duration)) setter {
	return func(f *faults, value string) error {
		d, err := time.ParseDuration(value)
		if err == nil && (d <= 0 || d > limit) {
			err = fmt.Errorf("not above 0, or above %v", limit)
		}
		if err != nil {
			return err
		}
		set(f, d)
		return nil
	}
}

func before(answer func(x *exchange) bool) func(*faults) {
	return func(f *faults) { f.before = append(f.before, answer) }
}

func after(alter func(x *exchange)) func(*faults) {
	return func(f *faults) { f.after = append(f.after, alter) }
}

func deliver(send func(x *exchange, w http.ResponseWriter) bool) func(*faults) {
	return func(f *faults) { f.deliver = append(f.deliver, send) }
}
