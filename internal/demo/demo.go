package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/sim"
)

// A Config says how the demo is run.
type Config struct {
	// Data is Postern's data directory; "" is a temporary one that goes with
	// the demo.
	Data      string
	ReadyFile string // written once Postern answers; "" = none
	Once      bool   // end after the two runs instead of staying up
	Program   string // how to call this program; "" = postern
	Screen    Screen
	Log       *slog.Logger // nil = silence

	crowd   crowd       // zero: fullCrowd
	latency sim.Latency // used where crowd is given; else sim.Slow
}

// fullCrowd is what is shown: more than a BMC is made for, and no more than
// come together when a scheduler starts its jobs at the full hour.
var fullCrowd = crowd{
	clients: 200, ramp: 2 * time.Second, job: 4500 * time.Millisecond, limit: 10 * time.Second, patience: patience{tries: 3, pause: time.Second},
}

func (c Config) withDefaults() Config {
	if c.crowd.clients == 0 {
		c.crowd, c.latency = fullCrowd, sim.Slow
	}
	if c.Program == "" {
		c.Program = "postern"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Run shows the demo: the crowd straight at the BMC, the crowd through Postern,
// and both side by side. Unless Once is set it then prints what to try and
// stays up until ctx ends. A ctx that ends earlier ends it early, without error
// and without a result that counts.
func Run(ctx context.Context, cfg Config) (Result, error) {
	cfg = cfg.withDefaults()
	v := newView(cfg.Screen)
	v.say(v.opening(cfg.crowd, cfg.latency))
	if cfg.Data == "" {
		tmp, err := os.MkdirTemp("", "postern-demo-")
		if err != nil {
			return Result{}, err
		}
		defer os.RemoveAll(tmp)
		cfg.Data = tmp
	}
	var err error
	if cfg.Data, err = filepath.Abs(cfg.Data); err != nil {
		return Result{}, err
	}
	b, err := startBMC(filepath.Join(cfg.Data, "bmc"), cfg.latency, cfg.Log)
	if err != nil {
		return Result{}, err
	}
	d := &demo{Config: cfg, view: v, bmc: b}
	r, err := d.run(ctx)
	return r, errors.Join(err, b.stop(), v.err)
}

// A demo is one that runs.
type demo struct {
	Config
	view *view
	bmc  *bmc
}

func (d *demo) run(ctx context.Context) (Result, error) {
	var r Result
	r.Direct = d.direct(ctx)
	if ctx.Err() != nil {
		return r, nil
	}
	if err := d.bmc.powerCycle(); err != nil {
		return r, err
	}
	g, err := startGate(ctx, d.Data, d.ReadyFile, d.bmc, d.Log)
	if err != nil {
		return r, err
	}
	if r.Postern, err = d.through(ctx, g); err == nil && ctx.Err() == nil {
		r.Kept = r.Postern.Kept()
		d.view.say(d.view.table(r) + "\n" + d.view.judgement(r))
		if !d.Once {
			err = d.stay(ctx, g)
		}
	}
	err = errors.Join(err, g.close())
	d.sayLeft(&r)
	return r, err
}

// direct sends the crowd straight to the BMC.
func (d *demo) direct(ctx context.Context) Figures {
	to := door{base: d.bmc.url, roots: d.bmc.roots, user: bmcUser}
	r := watch(d.view, directTitle, d.crowd, func(y *tally) {
		d.crowd.storm(ctx, to, d.bmc.password, account.RandomPassword(), y)
	}, func(r *Figures) {
		d.bmc.figures(r)
		r.Leaked = min(r.Left, r.Sessions)
	})
	d.bmc.settle(ctx)
	d.bmc.figures(&r)
	r.Leaked = r.Sessions // nobody is left
	d.view.end(r)
	return r
}

// through sends the same crowd through Postern.
func (d *demo) through(ctx context.Context, g *gate) (Figures, error) {
	var failed error
	r := watch(d.view, posternTitle, d.crowd, func(y *tally) {
		d.crowd.storm(ctx, g.door(), g.password, account.RandomPassword(), y)
	}, func(r *Figures) {
		kept, err := g.kept(context.WithoutCancel(ctx))
		if err != nil {
			failed = err
			return
		}
		d.bmc.figures(r)
		r.Leaked = max(0, r.Sessions-kept)
	})
	d.view.end(r)
	return r, failed
}

// stay prints what can be tried, until ctx ends or Postern fails.
func (d *demo) stay(ctx context.Context, g *gate) error {
	login, err := d.writeLogin(g)
	if err != nil {
		return err
	}
	d.view.say(d.view.guide(playground{
		host: strings.TrimPrefix(g.door().base, "https://"), program: d.Program, data: d.Data,
		user: g.ready.User, passwordFile: g.ready.PasswordFile, loginFile: login,
	}))
	select {
	case <-ctx.Done():
	case <-g.done:
	}
	return nil
}

// writeLogin makes the body of a login as the first administrator.
func (d *demo) writeLogin(g *gate) (string, error) {
	password, err := os.ReadFile(g.ready.PasswordFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("the first password of %s was changed in %s: choose another data directory", g.ready.User, d.Data)
	}
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(struct{ UserName, Password string }{g.ready.User, strings.TrimSuffix(string(password), "\n")})
	if err != nil {
		return "", err
	}
	path := filepath.Join(d.Data, "data.json")
	return path, os.WriteFile(path, append(body, '\n'), 0o600)
}

// sayLeft tells what Postern, now stopped, left at the BMC.
func (d *demo) sayLeft(r *Result) {
	left := d.bmc.device.Load().Stats().Sessions
	if left > 0 {
		r.Kept = false
	}
	d.view.say(fmt.Sprintf("\nPostern has logged out: %s left at the BMC.\n", plural(left, "session")))
}
