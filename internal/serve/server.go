package serve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

const (
	drainTime = 5 * time.Second // for requests under way after a SIGTERM
	stopTime  = 8 * time.Second // drain and logouts together
)

// Config of a server.
type Config struct {
	Data string // the data directory
	// Targets are those of the configuration file or the command line; others
	// are in the store.
	Targets   []target.Target
	Listeners []config.Listener
	// Rules are tried before the built-in ones.
	Rules []policy.Rule
	// Alone: where there are no targets at all, in the store neither, the tree is
	// served in their place.
	Alone bool
	// Metrics is where metrics and health are told, HOST:PORT; "" = nowhere.
	Metrics string
	// Hangup asks for the configuration to be read again, by Read. Nil = never.
	Hangup    <-chan struct{}
	Read      func() (Config, error)
	ReadyFile string      // "" = none
	Ready     func(Ready) // called once everything answers; nil = nobody waits
	// First is called before Ready with the file that holds the first
	// administrator's password, at the start that made it.
	First func(file string)
	Now   func() time.Time // nil = time.Now
	Log   *slog.Logger     // nil = silence
}

func (c Config) withDefaults() Config {
	if c.Ready == nil {
		c.Ready = func(Ready) {}
	}
	if c.First == nil {
		c.First = func(string) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// A server is one run of `postern serve`.
type server struct {
	*core
	cfg   Config
	id    *Identity
	ports *ports
	admin *admin.Service
	tree  *tree // nil = not served
	told  *told // metrics and health; nil = not served

	certificates *Certificates

	policy  policy.Live
	serving atomic.Bool // callers are served
	failed  chan error  // a listener or a background task ended by itself

	tasks sync.WaitGroup // of the whole run
	left  sync.WaitGroup // targets that are being left

	mu         sync.Mutex // guards what follows; held while a target changes
	stopping   bool
	faces      map[string]*face           // by target, as the next ones
	transports map[string]*http.Transport // that carry the calls
	leaving    map[string]chan struct{}   // removed; closed when nothing of it is left
}

// Run serves until ctx ends, or until something fails that nothing can be
// served without. After ctx it lets requests end, for at most 5 seconds, then
// logs out at the devices; 8 seconds in all.
func Run(ctx context.Context, cfg Config) error {
	err := open(ctx, cfg.withDefaults())
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // told to stop before everything was open
	}
	return err
}

func open(ctx context.Context, cfg Config) error {
	c, err := openMetered(ctx, cfg.Data, "postern serve", cfg.Now, cfg.Log, cfg.Metrics != "")
	if err != nil {
		return err
	}
	s := &server{
		core: c, cfg: cfg, failed: make(chan error, 1),
		faces: map[string]*face{}, transports: map[string]*http.Transport{}, leaving: map[string]chan struct{}{},
	}
	return errors.Join(s.run(ctx), c.close())
}

func (s *server) run(ctx context.Context) error {
	if err := forgetReady(s.cfg.ReadyFile); err != nil {
		return err
	}
	defer s.abandon()
	targets, err := s.prepare(ctx)
	if err != nil {
		return err
	}
	sock, err := listenSocket(s.dir)
	if err != nil {
		return err
	}
	desk := newDesk(s.admin, s.log)
	s.tasks.Go(func() {
		if err := desk.Serve(sock); !errors.Is(err, http.ErrServerClosed) {
			s.fail(fmt.Errorf("administration socket: %w", err))
		}
	})
	s.startFaces()
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	s.told.start(s.fail)
	if err = s.announce(targets); err == nil {
		s.serving.Store(true)
		s.tasks.Go(func() { s.task("sessions", s.sessions.Run(work)) })
		s.tasks.Go(func() { s.task("leases", s.leases.Run(work)) })
		s.tasks.Go(func() { s.task("revocation lists", s.trust.Run(work)) })
		err = s.wait(ctx)
	}
	s.log.Info("stopping")
	s.serving.Store(false)
	s.stop(desk, stopWork)
	s.told.close()
	return errors.Join(err, forgetReady(s.cfg.ReadyFile))
}

// wait serves until ctx ends or something fails, and reads the configuration again
// when it is asked to.
func (s *server) wait(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.failed:
			return err
		case <-s.cfg.Hangup:
			s.readAgain(ctx)
		}
	}
}

// prepare reads targets and journal, and opens the listeners without serving.
func (s *server) prepare(ctx context.Context) ([]target.Target, error) {
	if s.first {
		s.cfg.First(s.dir.Path(firstPassword))
	}
	if _, err := s.targets.Reconcile(ctx, s.cfg.Targets); err != nil {
		return nil, configError{err}
	}
	targets, err := s.targets.List(ctx)
	if err != nil {
		return nil, err
	}
	where, err := places(targets, s.cfg.Listeners)
	if err != nil {
		return nil, err
	}
	if s.id, s.certificates, err = s.openCertificates(); err != nil {
		return nil, err
	}
	if s.admin, err = s.administration(s.certificates, s); err != nil {
		return nil, err
	}
	tree, alone := treeListener(s.cfg, len(targets))
	s.id.SetNames(append(certificateNames(s.cfg.Listeners, where), hostNames(tree.Host)...))
	if s.ports, err = openPorts(s.dir); err != nil {
		return nil, err
	}
	rules, err := policy.New(s.cfg.Rules)
	if err != nil {
		return nil, configError{err}
	}
	s.policy.Set(rules)
	s.warnOfRules(targets, s.cfg.Rules)
	var leases []lease.Target
	for _, t := range targets {
		w, err := s.wire(t)
		if err != nil {
			return nil, fmt.Errorf("target %s: %w", t.Name, err)
		}
		leases = append(leases, w.lease)
		if err := s.configure(ctx, admin.TargetListener(t.Name), listenerOf(t, s.cfg.Listeners)); err != nil {
			return nil, err
		}
		if err := s.openFace(t.Name, where[t.Name], w); err != nil {
			return nil, err
		}
	}
	if s.cfg.Metrics != "" {
		if s.told, err = s.openMetrics(); err != nil {
			return nil, err
		}
	}
	if alone {
		if err := s.openTree(ctx, tree); err != nil {
			return nil, fmt.Errorf("listener of the tree: %w", err)
		}
	}
	return targets, s.leases.Load(ctx, leases)
}

// openFace binds the listener of a target and gives it its handler.
func (s *server) openFace(name string, at place, w wired) error {
	f, err := s.bind(name, at)
	if err != nil {
		return err
	}
	f.set(w.handler)
	s.faces[name], s.transports[name] = f, w.transport
	return nil
}

// bind opens the listener of a target.
func (s *server) bind(name string, at place) (*face, error) {
	ln, err := s.ports.listen(name, at.host, at.port)
	if err != nil {
		return nil, fmt.Errorf("listener of target %s: %w", name, err)
	}
	listener := admin.TargetListener(name)
	return newFace(name, at.host, ln, s.certificates.tlsConfig(listener, s.asker(listener)), s.log), nil
}

func (s *server) startFaces() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faces {
		f.start(s.fail)
	}
	if s.tree != nil {
		s.tree.start(s.fail)
	}
}

// fail stops the server; only the first reason counts.
func (s *server) fail(err error) {
	select {
	case s.failed <- err:
	default:
	}
}

func (s *server) task(name string, err error) {
	if err != nil {
		s.fail(fmt.Errorf("%s: %w", name, err))
	}
}

func (s *server) announce(targets []target.Target) error {
	s.mu.Lock()
	r := s.readiness(targets)
	s.mu.Unlock()
	return r.announce(s.cfg.ReadyFile, s.cfg.Ready)
}

// readiness is what the ready file says. mu is held.
func (s *server) readiness(targets []target.Target) Ready {
	r := Ready{
		PID: os.Getpid(), URLs: map[string]string{}, CAFile: s.id.CAFile(), User: "admin",
		PasswordFile: s.firstPasswordFile(), Targets: map[string]map[string]string{},
	}
	for _, t := range targets {
		r.Targets[t.Name] = map[string]string{"https": s.gateway(t.Name)}
	}
	switch {
	case s.tree != nil:
		r.URLs["https"] = s.tree.url
	case len(targets) == 1:
		r.URLs["https"] = s.gateway(targets[0].Name)
	}
	if s.told != nil {
		r.URLs["metrics"] = s.told.url
	}
	return r
}

// stop drains, logs out and ends the background work, in stopTime at most.
func (s *server) stop(desk *http.Server, stopWork func()) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	drain, cancelDrain := context.WithTimeout(ctx, drainTime)
	defer cancelDrain()
	var all sync.WaitGroup
	all.Go(func() {
		if err := desk.Shutdown(drain); err != nil {
			desk.Close()
		}
	})
	s.mu.Lock()
	s.stopping = true
	for _, f := range s.faces {
		all.Go(func() { f.shutdown(drain) })
	}
	clear(s.faces)
	if s.tree != nil {
		all.Go(func() { s.tree.shutdown(drain) })
	}
	s.mu.Unlock()
	all.Wait()
	stopWork()
	if err := cmp.Or(s.leases.Shutdown(ctx), waitFor(ctx, &s.left), waitFor(ctx, &s.tasks)); err != nil {
		s.log.Warn("not every device session could be ended; the next start goes on with it", slog.Any("error", err))
	}
}

// waitFor waits for wg until ctx ends.
func waitFor(ctx context.Context, wg *sync.WaitGroup) error {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// abandon closes listeners that were never started.
func (s *server) abandon() {
	for _, f := range s.faces {
		f.abandon()
	}
	if s.tree != nil {
		s.tree.abandon()
	}
	s.told.close()
}
