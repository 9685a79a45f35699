//go:build integration

package interop

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// The crash test can be repeated and varied:
//
//	POSTERN_CRASH_SEED=7 POSTERN_CRASH_ROUNDS=200 go test -tags integration -run TestCrashRounds -v ./interop
const (
	seedEnv   = "POSTERN_CRASH_SEED"
	roundsEnv = "POSTERN_CRASH_ROUNDS"
)

func envInt(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return otherwise
}

const (
	// wait is how long the device of the crash tests takes to log in and out.
	wait = 300 * time.Millisecond
	// callLimit is how long a caller waits for its answer after a restart.
	callLimit = 20 * time.Second
	// fewSlots are a person's, ours (the default budget is two), and two over.
	fewSlots = 5
	systems  = "/redfish/v1/Systems"
)

// A hit is what a kill cut off.
type hit struct{ logins, logouts int }

// A tally of kills.
type tally struct {
	kills, logins, logouts, idle int
}

func (c tally) String() string {
	return fmt.Sprintf("%d kills: %d hit a login in flight, %d a logout, %d neither", c.kills, c.logins, c.logouts, c.idle)
}

// A siege kills one gateway in front of one device again and again.
type siege struct {
	w       *world
	d       *device
	g       *gateway
	rng     *rand.Rand
	admin   *http.Client // to the device
	caller  *http.Client // to the gateway
	person  string       // token of a session that a person opened before
	theirs  string       // its id
	counts  tally
	patient time.Duration // how long the sweep may take in the end
}

// newSiege starts a device with so many slots, one of them a person's.
func newSiege(t *testing.T, seed, slots int) *siege {
	w := newWorld(t)
	d := w.sim("--slots", strconv.Itoa(slots), "--lockout", "3", "--latency", fmt.Sprintf("login=%v,logout=%v", wait, wait))
	s := &siege{w: w, d: d, admin: d.client(t), rng: rand.New(rand.NewPCG(uint64(seed), 1)), patient: 40 * time.Second}
	token, location := d.login(t, s.admin)
	s.person, s.theirs = w.secret("a person's token", token), filepath.Base(location)
	s.g = w.gateway(d.target())
	return s
}

func (s *siege) up() {
	s.w.t.Helper()
	s.g.up(s.w)
	if s.caller == nil {
		s.caller = s.g.client(s.w.t)
		s.caller.Timeout = callLimit
	}
}

// served wants a 200 for one patient caller.
func (s *siege) served() error {
	a, err := s.g.call(s.caller, "GET", systems, nil)
	if err != nil {
		return fmt.Errorf("a caller after the restart: %w", err)
	}
	if a.status != http.StatusOK {
		return fmt.Errorf("a caller after the restart: status %d: %s", a.status, a.body)
	}
	return nil
}

// kill ends the gateway after a pause that ends within the time that the device
// takes for a login or logout, and counts what was cut off.
func (s *siege) kill() error {
	time.Sleep(time.Duration(s.rng.Int64N(int64(wait + wait/10))))
	s.g.kill()
	h, err := s.inFlight()
	if err != nil {
		return err
	}
	s.counts.kills++
	switch {
	case h.logins > 0:
		s.counts.logins++
	case h.logouts > 0:
		s.counts.logouts++
	default:
		s.counts.idle++
	}
	return nil
}

// callAside lets a caller come whose answer nobody waits for.
func (s *siege) callAside() {
	e := s.g.endpoint // the gateway's changes with the next start
	go e.call(s.caller, "GET", systems, nil)
}

// The ways to get into the situation that a kill then ends.
func (s *siege) round() error {
	switch n := s.rng.IntN(10); {
	case n < 4: // the device drops our sessions; the next caller causes a login
		s.d.drop(s.admin, s.theirs)
		s.callAside()
	case n < 6: // an orderly stop, and a login after the next start
		s.g.stop()
		s.up()
		s.callAside()
	case n < 9: // an orderly stop that is cut off in its logout
		s.g.signal(syscall.SIGTERM)
	default: // nothing goes on
	}
	if err := s.kill(); err != nil {
		return err
	}
	s.up()
	return s.served()
}

// inFlight reads from the journal of leases what the dead gateway had begun:
// each step is committed there before it goes out.
func (s *siege) inFlight() (h hit, err error) {
	files, err := filepath.Glob(filepath.Join(s.g.data, "*.db*"))
	if err != nil || len(files) == 0 {
		return h, fmt.Errorf("no database in %s: %w", s.g.data, err)
	}
	// A copy, so that looking changes nothing.
	dir, name := s.w.t.TempDir(), ""
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return h, err
		}
		copied := filepath.Join(dir, filepath.Base(f))
		if strings.HasSuffix(f, ".db") {
			name = copied
		}
		if err := os.WriteFile(copied, data, 0o600); err != nil {
			return h, err
		}
	}
	db, err := sql.Open("sqlite", "file:"+name)
	if err != nil {
		return h, err
	}
	defer db.Close()
	return h, db.QueryRow(`select count(*) filter (where state = 'intent'), count(*) filter (where state = 'ending') from lease`).
		Scan(&h.logins, &h.logouts)
}

// verdict ends the siege: everything of ours at the device is ended, and
// nothing else is.
func (s *siege) verdict() error {
	// While it runs the gateway may hold one session; all others have to go.
	var list []member
	for end := time.Now().Add(s.patient); time.Now().Before(end); time.Sleep(250 * time.Millisecond) {
		if list = s.d.sessions(s.admin); len(list) <= 2 {
			break
		}
	}
	s.g.stop()
	list = s.d.sessions(s.admin)
	var errs []error
	for _, m := range list {
		if m.ID != s.theirs {
			errs = append(errs, fmt.Errorf("orphan session at the device: %+v", m))
		}
	}
	return errors.Join(append(errs, s.personLives())...)
}

// personLives reports whether the session of the person can still be used.
func (s *siege) personLives() error {
	r, err := http.NewRequest(http.MethodGet, s.d.base+systems, nil)
	if err != nil {
		return err
	}
	r.Header.Set("X-Auth-Token", s.person)
	a, err := send(s.admin, r)
	if err != nil || a.status != http.StatusOK {
		return fmt.Errorf("the person's session: status %d, %v", a.status, err)
	}
	return nil
}

// run is the whole: rounds, then the verdict.
func (s *siege) run(rounds int) error {
	s.up()
	if err := s.served(); err != nil {
		return err
	}
	for i := range rounds {
		if err := s.round(); err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
	}
	return s.verdict()
}

// Promise 1: no orphan sessions, whatever moment the power goes.
func TestCrashRounds(t *testing.T) {
	t.Parallel()
	seed, rounds := envInt(seedEnv, 1), envInt(roundsEnv, 50)
	s := newSiege(t, seed, fewSlots)
	err := s.run(rounds)
	t.Logf("seed %d: %v; %d logins and %d logouts in the device's journal", seed, s.counts, len(s.d.lines("login")), len(s.d.lines("logout")))
	if err != nil {
		t.Fatalf("seed %d, %v: %v", seed, s.counts, err)
	}
	if hits := s.counts.logins + s.counts.logouts; 3*hits < s.counts.kills {
		t.Errorf("%v: want a third at least in flight", s.counts)
	}
	for _, l := range s.d.lines("login-refused") {
		if l.Status == http.StatusUnauthorized {
			t.Errorf("the device refused a login: %+v", l)
		}
	}
}

// A kill while nothing is in flight costs no login: the lease is adopted.
func TestCrashIdle(t *testing.T) {
	t.Parallel()
	s := newSiege(t, 0, fewSlots)
	s.up()
	before := len(s.d.lines("login"))
	for i := range 10 {
		if err := s.served(); err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		s.g.kill()
		s.up()
	}
	if err := s.served(); err != nil {
		t.Fatal(err)
	}
	if got := len(s.d.lines("login")) - before; got != 1 {
		t.Errorf("ten kills while idle cost %d logins at the device, want 1 in all", got)
	}
	if err := s.verdict(); err != nil {
		t.Error(err)
	}
}
