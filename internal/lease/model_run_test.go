package lease_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/store"
)

// A world is what a crash leaves: the files, the device, the clock, and what
// the configuration says.
type world struct {
	machine
	files   map[string][]byte
	clock   time.Time
	secret  string // the stored password
	removed bool   // the target is configured no more
	pin     string
}

func (w world) clone() world {
	w.machine = w.machine.clone()
	return w // files are never changed
}

// A plan is what goes wrong in one run: one answer, and a crash.
type plan struct {
	step    int // 0 = every answer is good
	answer  string
	crash   int  // 0 = it runs to the end of its script, and is cut there
	after   bool // the crash follows the step
	flushed bool // the audit's notes reach the disk at once, not within a second
}

func (p plan) String() string {
	var parts []string
	if p.flushed {
		parts = append(parts, "flushed")
	}
	if p.step > 0 {
		parts = append(parts, fmt.Sprintf("%d=%s", p.step, p.answer))
	}
	if p.crash > 0 {
		side := "-"
		if p.after {
			side = "+"
		}
		parts = append(parts, fmt.Sprintf("!%d%s", p.crash, side))
	}
	if len(parts) == 0 {
		return "."
	}
	return strings.Join(parts, ",")
}

func parsePlan(s string) (p plan, err error) {
	for part := range strings.SplitSeq(s, ",") {
		switch {
		case part == ".":
		case part == "flushed":
			p.flushed = true
		case strings.HasPrefix(part, "!"):
			p.after = strings.HasSuffix(part, "+")
			_, err = fmt.Sscanf(part, "!%d", &p.crash)
		default:
			step, answer, _ := strings.Cut(part, "=")
			p.answer = answer
			_, err = fmt.Sscanf(step, "%d", &p.step)
		}
		if err != nil {
			return p, fmt.Errorf("%q: %w", s, err)
		}
	}
	return p, nil
}

// tick is what a step takes; what goes on in the background is slower, so that
// the order of the steps is the same each time.
const (
	tick     = time.Microsecond
	slowTick = time.Millisecond
)

var errDead = errors.New("the process is dead")

// A step is a commit or a wire action.
type step struct{ op, detail string }

// A run is one life of the process.
type run struct {
	p      *profile
	w      world
	plan   plan
	begun  time.Time // by the clock of the bubble
	dir    string
	m      *lease.Manager
	store  *store.Store
	log    *audit.Log
	peek   *sql.DB
	device scripted
	ctx    context.Context
	cancel context.CancelFunc
	dead   atomic.Bool
	quiet  bool // Load calls no device
	asked  map[string]*sql.Stmt
	rows   map[string]rowState // the leases on stable storage that are not ended
	last   bool                // the end of a path: nobody wants the world after it

	mu     sync.Mutex // guards what follows, and makes the steps one after another
	steps  []step
	away   bool
	deaf   bool
	forced bool
	fresh  string // a secret that was just accepted, which is not committed yet
	faults []string
	ends   world // the world at the crash
	cut    bool  // ends is set

	visit func(r *run, point plan) // at each boundary
	trace func(format string, args ...any)
	err   error // of the last call
}

func (r *run) now() time.Time { return r.w.clock.Add(time.Since(r.begun)) }

// broke records that something does not hold.
func (r *run) broke(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	r.faults = append(r.faults, s)
	r.note("BROKEN: %s", s)
}

func (r *run) note(format string, args ...any) {
	if r.trace != nil {
		r.trace(format, args...)
	}
}

// background are the steps that another goroutine than a caller's takes.
func background(op, detail string) bool {
	return op == "idle" || op == "facts" || op == "logout" || op == "move" && strings.HasPrefix(detail, "ending")
}

// enter is the boundary before a step. ok is false when the process is dead.
func (r *run) enter(op, detail string) (answer string, n int, ok bool) {
	if r.dead.Load() {
		return "", 0, false
	}
	if background(op, detail) {
		time.Sleep(slowTick)
	}
	time.Sleep(tick)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead.Load() {
		return "", 0, false
	}
	n = len(r.steps) + 1
	r.steps = append(r.steps, step{op, detail})
	r.boundary(plan{crash: n})
	if r.dead.Load() {
		return "", 0, false
	}
	if r.plan.step == n {
		answer = r.plan.answer
	}
	return answer, n, true
}

// leave is the boundary after a step.
func (r *run) leave(n int, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dead.Load() {
		return
	}
	if n > 0 {
		s := r.steps[n-1]
		r.note("%3d %-8s %s: %s", n, s.op, s.detail, what)
	}
	r.boundary(plan{crash: n, after: true})
}

// boundary is a moment at which the process may die.
func (r *run) boundary(at plan) {
	if r.plan.flushed {
		r.log.Append(context.Background(), audit.Record{Event: "test.flush"})
	}
	if at.after {
		if answersTo[r.steps[at.crash-1].op] == nil { // a commit
			r.look()
		}
		r.invariants()
	}
	if r.visit != nil {
		r.visit(r, at)
	}
	if r.plan.crash > 0 && r.plan.crash == at.crash && r.plan.after == at.after {
		r.note("    CRASH")
		r.die()
	}
}

// die keeps the world as it is. Whatever the process does from here on has no effect.
func (r *run) die() {
	if !r.cut && !r.last {
		r.ends, r.cut = r.snapshot(), true
	}
	r.dead.Store(true)
	r.cancel()
}

// snapshot is the world of this moment.
func (r *run) snapshot() world {
	w := r.w.clone()
	w.clock = r.now()
	w.files = map[string][]byte{}
	for _, pattern := range []string{"postern.db", "postern.db-wal", "audit/*"} {
		names, _ := filepath.Glob(filepath.Join(r.dir, pattern))
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				panic(err)
			}
			rel, _ := filepath.Rel(r.dir, name)
			w.files[rel] = data
		}
	}
	return w
}

// live runs script in w, and returns what it left.
func live(t *testing.T, p *profile, w world, script []string, pl plan, opt func(*run)) *run {
	r := &run{p: p, w: w.clone(), plan: pl, asked: map[string]*sql.Stmt{}, rows: map[string]rowState{}}
	r.device = scripted{r}
	if opt != nil {
		opt(r)
	}
	synctest.Test(t, func(t *testing.T) {
		r.begun = time.Now()
		r.ctx, r.cancel = context.WithCancel(context.Background())
		defer r.stop()
		if err := r.start(); err != nil {
			if !r.dead.Load() && pl.answer != fails {
				r.broke("the process does not start: %v", err)
			}
			return
		}
		for _, op := range script {
			if r.dead.Load() {
				break
			}
			r.note("    -- %s", op)
			r.do(op)
			if !r.p.eager {
				r.m.Settle()
			}
		}
		if !r.dead.Load() {
			r.m.Settle()
		}
	})
	return r
}

// scratch is where runs keep their files: in memory where that can be had.
func scratch() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

// start is the start of the process, up to the end of Load.
func (r *run) start() error {
	var err error
	if r.dir, err = os.MkdirTemp(scratch(), "postern-model-"); err != nil {
		return err
	}
	if err = os.Mkdir(filepath.Join(r.dir, "audit"), 0o700); err != nil {
		return err
	}
	for name, data := range r.w.files {
		if err := os.WriteFile(filepath.Join(r.dir, name), data, 0o600); err != nil {
			return err
		}
	}
	path := filepath.Join(r.dir, "postern.db")
	if r.store, err = store.Open(r.ctx, path, store.Options{Now: r.now()}); err != nil {
		return err
	}
	if r.peek, err = sql.Open("sqlite", "file:"+path+"?_pragma=query_only(1)"); err != nil {
		return err
	}
	r.peek.SetMaxOpenConns(1)
	r.look()
	r.log, err = audit.Open(audit.Config{Dir: filepath.Join(r.dir, "audit"), Key: auditKey, Node: r.store.Node(), Epoch: r.store.Epoch(), Now: r.now})
	if err != nil {
		return err
	}
	key, err := seal.New(auth.NewSecret(strings.Repeat("s", 32)))
	if err != nil {
		return err
	}
	r.m, err = lease.New(lease.Config{Store: journal{r.store, r}, Audit: r.log, Seal: key, Now: r.now,
		QueueTimeout: 300 * time.Millisecond, DeviceFor: func(lease.Row) (lease.Device, error) { return r.device, nil }})
	if err != nil {
		return err
	}
	var targets []lease.Target
	if !r.w.removed {
		targets = append(targets, r.target())
	}
	r.quiet = true
	if err := r.m.Load(r.ctx, targets); err != nil {
		return err
	}
	r.quiet = false
	if !r.dead.Load() {
		r.loaded()
	}
	return nil
}

var auditKey = auth.NewSecret(strings.Repeat("k", 32))

// stop ends the process without a word to anybody.
func (r *run) stop() {
	if r.store != nil && r.log != nil && !r.cut {
		r.die()
	}
	r.dead.Store(true)
	r.cancel()
	if r.m != nil {
		r.m.Settle()
	}
	if r.log != nil {
		r.log.Close()
	}
	if r.peek != nil {
		r.peek.Close()
	}
	if r.store != nil {
		r.store.Close()
	}
	os.RemoveAll(r.dir)
}

func (r *run) target() lease.Target {
	t := lease.Target{Name: "bmc1", Family: "redfish", URL: "https://bmc1", Account: ourAccount, Device: r.device, Pin: r.w.pin,
		Budget: r.p.budget, Exclusive: r.p.exclusive, BasicFree: r.p.basicFree, LockoutThreshold: r.p.threshold,
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: ourAccount, Password: auth.NewSecret(r.w.secret)}, nil
		}}
	if r.p.basic && !r.p.found {
		t.Method = auth.MethodBasic
	}
	return t
}

// do is one thing that happens to the process.
func (r *run) do(op string) {
	name, arg, _ := strings.Cut(op, " ")
	switch name {
	case "call":
		r.call()
	case "sweep":
		r.m.SweepOnce(r.ctx)
	case "house":
		r.m.HousekeepOnce(r.ctx)
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			panic(err)
		}
		time.Sleep(d)
	case "drop": // the device forgets its sessions
		r.device.restart()
	case "secret": // somebody stores another password
		r.w.secret = arg
	case "password": // somebody changes it at the device
		r.w.password = arg
	case "change": // the target gets another pin
		r.w.pin = arg
		r.m.Set(r.target())
	case "remove":
		r.w.removed = true
		r.m.Remove("bmc1")
	case "check":
		r.forced = true
		r.err = r.m.Check(r.ctx, "bmc1")
		r.forced = false
	case "shutdown":
		r.m.Shutdown(r.ctx)
	case "promises":
		r.promises()
	default:
		panic("no such thing: " + op)
	}
}

// call is one caller with one request, as the gateway does it.
func (r *run) call() {
	for range 3 {
		var u *lease.Use
		if u, r.err = r.m.Acquire(r.ctx, "bmc1"); r.err != nil {
			r.note("    no login: %v", r.err)
			return
		}
		if !errors.Is(r.device.call(u.Login()), auth.ErrNoSession) || r.dead.Load() {
			u.Done()
			return
		}
		if r.err = u.Unauthorized(r.ctx); r.err != nil {
			u.Done()
			return
		}
		if r.p.eager {
			synctest.Wait() // what follows the burial has begun
		} else {
			r.m.Settle()
		}
	}
}
