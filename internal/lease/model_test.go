package lease_test

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/internal/store"
)

// The model: the lease machine, the allowance and the audit on the real store,
// with a clock and a device that do what they are told. It runs a script, once
// for each way in which one answer or one commit may go wrong, and stops the
// world before and after each commit and each wire action. Each world that a
// crash leaves is started again: to the end of its path, where the three promises
// are checked, and into a second crash. Worlds that cannot be told apart are
// followed once.
//
// A path is written PROFILE/SCRIPT/RUN/RUN..., a run like "5=cut,!7-": the
// fifth step got no answer though the device acted, and the crash came before the
// seventh. It can be walked alone:
//
//	go test ./internal/lease -run TestModelPath -v -path 'keeps/serve/5=cut,!7-'
//
// The long form explores further until its time is over:
//
//	go test ./internal/lease -run 'TestModel$' -torture 5m -seed 7
var (
	pathFlag    = flag.String("path", "keeps/serve/3=cut,!9+", "the path that TestModelPath walks")
	tortureFlag = flag.Duration("torture", 0, "how long TestModel explores; 0 = its short form")
	wideFlag    = flag.Bool("wide", false, "let TestModel explore what its short form leaves out, until something is broken")
	seedFlag    = flag.Uint64("seed", 1, "what the long form of TestModel begins with")
)

// raced is set under the race detector.
var raced = false

// A profile is what a device is like, how it is configured, and what happens to it.
type profile struct {
	name      string
	keeps     bool // shows our nonces
	lists     bool
	exclusive bool // the target says so
	basic     bool // HTTP Basic alone
	found     bool // that is found out at the login, not configured
	noNonce   bool // refuses a login with a nonce
	twins     bool // a person's session carries the same nonce
	mute      bool // tells no location
	tellsIdle bool // with the login, not when asked
	basicFree bool
	eager     bool   // callers go on before a logout in the background has begun
	each      bool   // the short form lets everything go wrong at least once
	slowFor   string // it takes 20 s to refuse this secret
	budget    int
	threshold int
	scripts   []string
}

// tellable: our sessions can be told from others in a listing.
func (p *profile) tellable() bool {
	return p.lists && !p.twins && !p.basic && (p.keeps || p.exclusive)
}

var scripts = map[string][]string{
	"serve":    {"call", "wait 5s", "sweep", "call", "shutdown"},
	"dropped":  {"call", "drop", "call", "sweep", "wait 1m", "sweep"},
	"idle":     {"call", "wait 25m", "house", "sweep", "call"},
	"changed":  {"call", "change pin2", "call", "sweep", "remove", "sweep"},
	"wrong":    {"secret wrong", "call", "call", "wait 31m", "call", "secret first-secret", "call"},
	"rotated":  {"call", "password second", "drop", "call", "secret second", "call"},
	"check":    {"secret wrong", "check", "call", "secret first-secret", "check"},
	"windows":  {"secret a", "call", "wait 1m", "secret b", "call", "wait 28m45s", "secret c", "call", "wait 2m", "call"},
	"recovery": {"call", "sweep", "wait 1m", "sweep", "call"},
	"end":      {"promises"},
}

var profiles = []*profile{
	{name: "keeps", keeps: true, lists: true, tellsIdle: true, basicFree: true, budget: 2, each: true, scripts: []string{"serve", "dropped", "idle", "changed", "wrong", "rotated", "check"}},
	{name: "eager", keeps: true, lists: true, budget: 1, eager: true, scripts: []string{"serve", "dropped", "changed"}},
	{name: "exclusive", lists: true, exclusive: true, tellsIdle: true, budget: 2, scripts: []string{"serve", "dropped"}},
	{name: "forgets", lists: true, budget: 2, scripts: []string{"serve", "dropped"}},
	{name: "silent", budget: 3, tellsIdle: true, scripts: []string{"serve", "dropped", "changed"}},
	{name: "mute", keeps: true, lists: true, mute: true, tellsIdle: true, budget: 2, scripts: []string{"serve", "dropped"}},
	{name: "twins", keeps: true, lists: true, twins: true, tellsIdle: true, budget: 2, scripts: []string{"serve", "dropped"}},
	{name: "no-nonce", lists: true, noNonce: true, tellsIdle: true, budget: 2, scripts: []string{"serve", "wrong"}},
	{name: "basic", basic: true, budget: 2, scripts: []string{"serve", "wrong", "rotated"}},
	{name: "basic-found", basic: true, found: true, budget: 2, scripts: []string{"serve", "rotated"}},
	{name: "two-strikes", keeps: true, lists: true, tellsIdle: true, budget: 2, threshold: 2, scripts: []string{"wrong", "rotated"}},
	{name: "slow", keeps: true, lists: true, tellsIdle: true, budget: 2, slowFor: "a", scripts: []string{"windows"}},
}

// template is a database with its schema, and nothing in it.
var template = sync.OnceValues(func() (map[string][]byte, error) {
	dir, err := os.MkdirTemp(scratch(), "postern-model-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "postern.db")
	db, err := store.Open(context.Background(), path, store.Options{Now: genesis})
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	return map[string][]byte{"postern.db": data}, err
})

var genesis = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func newWorld(t *testing.T) world {
	files, err := template()
	if err != nil {
		t.Fatal(err)
	}
	return world{machine: newMachine(), files: files, clock: genesis, secret: deviceFirst}
}

// A crashed world waits for its next run.
type crashed struct {
	world
	path string
	runs int // that led to it
}

// An explorer walks the paths of one profile.
type explorer struct {
	t                    *testing.T
	p                    *profile
	rng                  *rand.Rand
	deep                 int               // most runs before the last one of a path
	again                int               // of the worlds one in so many is crashed again
	each                 bool              // what may go wrong does so once at least
	met                  map[string]bool   // what has gone wrong once
	thinFirst, thin      int               // of what may go wrong in first and later runs one in so many does
	until                time.Time         // zero: everything
	seen                 map[string]int    // worlds by their key, and after how many runs they were met
	faults               map[string]string // what is broken -> a shortest path to it
	runs, points, worlds int
}

// noticed: something is broken. Whoever only wants to know that stops then.
var noticed atomic.Bool

func (x *explorer) over() bool {
	return !x.until.IsZero() && time.Now().After(x.until) || *wideFlag && noticed.Load()
}

// live runs one plan, and takes the new worlds that a crash in it would leave.
func (x *explorer) live(from crashed, script string, pl plan) (r *run, found []crashed) {
	x.runs++
	r = live(x.t, x.p, from.world, scripts[script], pl, func(r *run) {
		if r.last = script == "end"; r.last {
			return
		}
		r.visit = func(r *run, at plan) {
			if pl.step > at.crash || pl.step == at.crash && !at.after {
				return // the same as without what goes wrong
			}
			x.points++
			k := r.key()
			if met := x.seen[k]; met == 0 || met > from.runs+1 && met > 1 {
				x.seen[k] = from.runs + 1
				at.step, at.answer, at.flushed = pl.step, pl.answer, pl.flushed
				found = append(found, crashed{r.snapshot(), from.path + "/" + at.String(), from.runs + 1})
			}
		}
	})
	for _, f := range r.faults {
		noticed.Store(true)
		path := from.path
		if script != "end" {
			path += "/" + pl.String()
		}
		if old, ok := x.faults[f]; !ok || len(path) < len(old) {
			x.faults[f] = path
		}
	}
	return r, found
}

// explore follows every path that begins with script in a world.
func (x *explorer) explore(from crashed, script string) (found []crashed) {
	base, found := x.live(from, script, plan{})
	if from.runs == 0 && x.rng.IntN(min(x.thinFirst, 4)) == 0 {
		_, more := x.live(from, script, plan{flushed: true})
		found = append(found, more...)
	}
	for n, s := range base.steps {
		for _, answer := range append(slices.Clone(answersTo[s.op]), fails) {
			if wire := answersTo[s.op] != nil; wire == (answer == fails) || x.over() {
				continue
			}
			if !x.chosen(from, s.op+answer) {
				continue
			}
			_, more := x.live(from, script, plan{step: n + 1, answer: answer})
			found = append(found, more...)
		}
	}
	return found
}

// chosen says whether what may go wrong does: in the long form always, in the
// short one here and there.
func (x *explorer) chosen(from crashed, what string) bool {
	if x.each && !x.met[what] {
		x.met[what] = true
		return true
	}
	if from.runs > 0 {
		return x.rng.IntN(x.thin) == 0
	}
	return x.rng.IntN(x.thinFirst) == 0
}

// walk explores everything that begins with script.
func (x *explorer) walk(script string) {
	todo := []crashed{{world: newWorld(x.t), path: x.p.name + "/" + script}}
	for len(todo) > 0 && !x.over() {
		i := x.rng.IntN(len(todo))
		next := todo[i]
		todo[i] = todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		name := script
		if next.runs > 0 {
			name = "recovery"
		}
		for _, w := range x.explore(next, name) {
			if x.over() {
				break
			}
			if raced && x.rng.IntN(15) > 0 {
				continue
			}
			x.worlds++
			x.live(w, "end", plan{})
			if w.runs < x.deep && x.rng.IntN(x.again) == 0 {
				todo = append(todo, w)
			}
		}
	}
}

func (x *explorer) report() {
	x.t.Logf("%s: %d crash points in %d runs, %d different worlds followed to their ends", x.p.name, x.points, x.runs, x.worlds)
	var paths []string
	for f, path := range x.faults {
		paths = append(paths, path+"\x00"+f)
	}
	slices.SortFunc(paths, func(a, b string) int { return cmp.Or(len(a)-len(b), cmp.Compare(a, b)) })
	for i, both := range paths {
		path, fault, _ := strings.Cut(both, "\x00")
		if i == 8 {
			x.t.Errorf("and %d more", len(paths)-i)
			break
		}
		x.t.Errorf("%s\n    go test ./internal/lease -run TestModelPath -v -path '%s'", fault, path)
	}
	if len(paths) > 0 {
		path, _, _ := strings.Cut(paths[0], "\x00")
		var script []string
		walkPath(x.t, path, func(format string, args ...any) { script = append(script, fmt.Sprintf(format, args...)) })
		x.t.Logf("the first of them, step by step:\n%s", strings.Join(script, "\n"))
	}
}

func TestModel(t *testing.T) {
	t.Parallel()
	for n, p := range profiles {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			x := &explorer{t: t, p: p, rng: rand.New(rand.NewPCG(*seedFlag, uint64(n))), deep: 2, again: 120, thinFirst: 60, thin: 60,
				each: p.each, seen: map[string]int{}, met: map[string]bool{}, faults: map[string]string{}}
			switch {
			case *tortureFlag > 0:
				x.deep, x.again, x.thinFirst, x.thin = 3, 1, 1, 1
			case *wideFlag:
				x.again, x.thinFirst, x.thin, x.each = 5, 10, 30, true
			case raced:
				x.again, x.thinFirst, x.thin, x.each = 100, 100, 100, false
			}
			for _, s := range p.scripts {
				if *tortureFlag > 0 { // an equal share for each profile and script
					at := min(runtime.GOMAXPROCS(0), len(profiles))
					x.until = time.Now().Add(*tortureFlag * time.Duration(at) / time.Duration(len(profiles)*len(p.scripts)))
				}
				x.walk(s)
			}
			x.report()
		})
	}
}

// TestModelPath walks one path and tells each step.
func TestModelPath(t *testing.T) {
	for _, f := range walkPath(t, *pathFlag, t.Logf) {
		t.Error(f)
	}
}

// Paths on which a promise was once broken.
func TestModelFound(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{
		"a token that cannot be kept is logged out unrecorded":             "keeps/serve/4=fail",
		"an acceptance is lost between the lease and its settling":         "keeps/serve/3=cut,!9+",
		"an acceptance by HTTP Basic is lost":                              "basic/serve/!5+/!1+",
		"a session without a location is never looked for":                 "mute/serve/!9+",
		"a person's session is taken for a lease whose location is known":  "twins/serve/!10+",
		"a living token that was refused twice is left to the device":      "exclusive/serve/6=401...,!12+",
		"a window begins before the device has judged":                     "slow/windows/.",
		"an attempt that cannot be settled forbids all others":             "keeps/serve/5=fail",
		"an attempt that cannot be settled is forgotten with its lease":    "silent/changed/5=fail,!10+/!1+",
		"an attempt that cannot be settled is forgotten with the shutdown": "no-nonce/serve/11=fail,!17+",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, f := range walkPath(t, path, t.Logf) {
				t.Error(f)
			}
		})
	}
}

// walkPath walks one path to its end, and returns what is broken.
func walkPath(t *testing.T, path string, trace func(string, ...any)) (faults []string) {
	parts := strings.Split(path, "/")
	i := slices.IndexFunc(profiles, func(p *profile) bool { return p.name == parts[0] })
	if i < 0 || len(parts) < 2 || scripts[parts[1]] == nil {
		t.Fatalf("no such path: %s", path)
	}
	w, script := newWorld(t), parts[1]
	step := func(script string, pl plan) {
		trace("run %s, %s", script, pl)
		r := live(t, profiles[i], w, scripts[script], pl, func(r *run) { r.trace = trace })
		faults = append(faults, r.faults...)
		w = r.ends
	}
	for _, s := range parts[2:] {
		pl, err := parsePlan(s)
		if err != nil {
			t.Fatal(err)
		}
		step(script, pl)
		script = "recovery"
	}
	step("end", plan{})
	return faults
}
