package lease_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/store"
)

// A device is the outside world: it holds sessions, and answers as it is told.
type device struct {
	mu       sync.Mutex
	password string
	slots    int
	serial   int
	sessions map[string]auth.Listed // by location
	tokens   map[string]string      // token -> location
	logins   int                    // login requests that reached it
	refused  int
	touches  int
	logouts  int
	hang     chan struct{} // a login makes its session and then waits for this
	script   func(step string) error
	forgets  bool // keeps no nonce
}

// deviceSkew is how wrong the device's clock is.
const deviceSkew = -77 * time.Hour

func newDevice() *device {
	return &device{password: "right", slots: 4, sessions: map[string]auth.Listed{}, tokens: map[string]string{}}
}

func (d *device) told(step string) error {
	if d.script == nil {
		return nil
	}
	return d.script(step)
}

func (d *device) Login(_ context.Context, c auth.Credential, o auth.LoginOptions) (auth.Login, error) {
	d.mu.Lock()
	d.logins++
	if err := d.told("login"); err != nil {
		d.mu.Unlock()
		return auth.Login{}, err
	}
	secret := c.Password.Reveal()
	if o.Method == auth.MethodCertificate {
		secret = string(c.Certificate.Reveal().Certificate[0])
	}
	if secret != d.password {
		d.refused++
		d.mu.Unlock()
		return auth.Login{}, &auth.LoginError{Outcome: auth.Refused, Sent: true, Status: 401, Err: errors.New("no")}
	}
	if o.Method == auth.MethodBasic {
		d.mu.Unlock()
		return auth.Login{Method: auth.MethodBasic, Account: c.Account, Secret: c.Password}, nil
	}
	if o.Method == auth.MethodCertificate { // shown on each call
		d.mu.Unlock()
		return auth.Login{Method: auth.MethodCertificate, Account: c.Account}, nil
	}
	if len(d.sessions) >= d.slots {
		d.mu.Unlock()
		return auth.Login{}, &auth.LoginError{Outcome: auth.NotJudged, Sent: true, Full: true, Status: 503, Err: errors.New("full")}
	}
	l := d.add(c.Account, o.Nonce)
	hang := d.hang
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
	return l, nil
}

// add opens a session; d.mu is held.
func (d *device) add(account auth.AccountName, context string) auth.Login {
	d.serial++
	loc := fmt.Sprintf("/Sessions/%d", d.serial)
	token := fmt.Sprintf("token-%d", d.serial)
	if d.forgets {
		context = ""
	}
	d.sessions[loc] = auth.Listed{Location: loc, ID: fmt.Sprint(d.serial), Account: account, Context: context,
		Source: "10.0.0.1", Created: time.Now().Add(deviceSkew)}
	d.tokens[token] = loc
	return auth.Login{Method: auth.MethodSession, Account: account, Secret: auth.NewSecret(token), Location: loc,
		Idle: 30 * time.Minute, KeepsNonce: !d.forgets, DeviceDate: time.Now().Add(deviceSkew)}
}

func (d *device) lives(l auth.Login) bool {
	if l.Method == auth.MethodBasic {
		return l.Secret.Reveal() == d.password
	}
	_, ok := d.sessions[d.tokens[l.Secret.Reveal()]]
	return ok
}

func (d *device) Touch(_ context.Context, l auth.Login) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.touches++
	if !d.lives(l) {
		return auth.ErrNoSession
	}
	return nil
}

func (d *device) Logout(_ context.Context, l auth.Login) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.logouts++
	if err := d.told("logout"); err != nil {
		return err
	}
	if !d.lives(l) {
		return auth.ErrNoSession
	}
	delete(d.sessions, l.Location)
	return nil
}

func (d *device) List(_ context.Context, l auth.Login) ([]auth.Listed, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.told("list"); err != nil {
		return nil, err
	}
	if !d.lives(l) {
		return nil, auth.ErrNoSession
	}
	var all []auth.Listed
	for _, s := range d.sessions {
		all = append(all, s)
	}
	return all, nil
}

func (d *device) End(_ context.Context, l auth.Login, location string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.lives(l) {
		return auth.ErrNoSession
	}
	delete(d.sessions, location)
	return nil
}

func (d *device) Idle(context.Context, auth.Login) (time.Duration, error) {
	return 30 * time.Minute, nil
}

func (d *device) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.sessions)
}

func (d *device) count() (sessions, logins, refused int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.sessions), d.logins, d.refused
}

// A server is one run of a manager on a data directory.
type server struct {
	*lease.Manager
	t      *testing.T
	target lease.Target
	store  *store.Store
	audit  *audit.Log
	stop   context.CancelFunc
	ran    chan struct{}
}

type setup struct {
	dir      string
	device   *device
	password *auth.Secret
	method   auth.Method
	budget   int
	queue    time.Duration
	alone    bool // nobody else uses the account
}

func newSetup(t *testing.T) *setup {
	p := auth.NewSecret("right")
	return &setup{dir: t.TempDir(), device: newDevice(), password: &p, budget: 3, method: auth.MethodAuto, queue: 10 * time.Second}
}

func (s *setup) start(t *testing.T) *server {
	t.Helper()
	ctx := context.Background()
	db, err := store.Open(ctx, filepath.Join(s.dir, "postern.db"), store.Options{Now: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	key, err := seal.LoadOrCreate(filepath.Join(s.dir, "seal.key"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := audit.Open(audit.Config{Dir: filepath.Join(s.dir, "audit"), Key: auth.NewSecret(strings.Repeat("k", 32)), Node: db.Node(), Epoch: db.Epoch()})
	if err != nil {
		t.Fatal(err)
	}
	m, err := lease.New(lease.Config{Store: db, Audit: log, Seal: key, QueueTimeout: s.queue,
		DeviceFor: func(lease.Row) (lease.Device, error) { return s.device, nil }})
	if err != nil {
		t.Fatal(err)
	}
	target := lease.Target{Name: "bmc1", Family: "redfish", URL: "https://bmc1", Account: "postern", Method: s.method,
		Device: s.device, Budget: s.budget, BasicFree: true, Exclusive: s.alone,
		Credential: func(context.Context) (auth.Credential, error) {
			if s.method == auth.MethodCertificate { // its name is the secret's
				der := [][]byte{[]byte(s.password.Reveal())}
				return auth.Credential{Account: "postern", Certificate: auth.NewClientCertificate(tls.Certificate{Certificate: der})}, nil
			}
			return auth.Credential{Account: "postern", Password: *s.password}, nil
		}}
	if err := m.Load(ctx, []lease.Target{target}); err != nil {
		t.Fatal(err)
	}
	run, stop := context.WithCancel(ctx)
	v := &server{Manager: m, t: t, target: target, store: db, audit: log, stop: stop, ran: make(chan struct{})}
	go func() {
		defer close(v.ran)
		m.Run(run)
	}()
	t.Cleanup(v.crash)
	return v
}

// crash ends the run without a word to the device.
func (v *server) crash() {
	v.stop()
	<-v.ran
	v.audit.Close()
	v.store.Close()
}

func (v *server) call() error {
	u, err := v.Acquire(context.Background(), "bmc1")
	if err != nil {
		return err
	}
	u.Done()
	return nil
}

// eventually waits for something that the sweep brings about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("never: %s", what)
}

func TestManyCallersShareOneLogin(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	v := s.start(t)
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			if err := v.call(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if sessions, logins, _ := s.device.count(); sessions != 1 || logins != 1 {
		t.Errorf("got %d sessions by %d logins, want 1 and 1", sessions, logins)
	}
	if err := v.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if sessions, _, _ := s.device.count(); sessions != 0 {
		t.Errorf("%d sessions left after shutdown", sessions)
	}
}

func TestManyRefusedCallsCauseOneLogin(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	v := s.start(t)
	var uses []*lease.Use
	for range 8 {
		u, err := v.Acquire(context.Background(), "bmc1")
		if err != nil {
			t.Fatal(err)
		}
		uses = append(uses, u)
	}
	s.device.drop()
	var all sync.WaitGroup
	for _, u := range uses {
		all.Go(func() {
			if err := u.Unauthorized(context.Background()); err != nil {
				t.Errorf("Unauthorized: got %v, want nil", err)
			}
			if err := v.call(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if _, logins, _ := s.device.count(); logins != 2 {
		t.Errorf("got %d logins, want 2", logins)
	}
	eventually(t, "the dead lease is settled", func() bool {
		rows, err := v.store.OpenLeases(context.Background())
		return err == nil && len(rows) == 1
	})
}

func TestForbiddenURIKeepsTheLogin(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	v := s.start(t)
	for range 3 {
		u, err := v.Acquire(context.Background(), "bmc1")
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Unauthorized(context.Background()); !errors.Is(err, lease.ErrAlive) {
			t.Errorf("Unauthorized: got %v, want ErrAlive", err)
		}
		u.Done()
	}
	if _, logins, _ := s.device.count(); logins != 1 {
		t.Errorf("got %d logins, want 1", logins)
	}
}

func TestCallerCancelDoesNotCutTheLogin(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.device.hang = make(chan struct{})
	v := s.start(t)
	ctx, cancel := context.WithCancel(context.Background())
	got := make(chan error)
	go func() {
		_, err := v.Acquire(ctx, "bmc1")
		got <- err
	}()
	eventually(t, "the login is sent", func() bool { n, _, _ := s.device.count(); return n == 1 })
	cancel()
	if err := <-got; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	close(s.device.hang)
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
	if _, logins, _ := s.device.count(); logins != 1 {
		t.Errorf("got %d logins, want 1", logins)
	}
}

func TestWrongPasswordIsTriedOnce(t *testing.T) {
	t.Parallel()
	for _, method := range []auth.Method{auth.MethodSession, auth.MethodBasic, auth.MethodCertificate} {
		t.Run(string(method), func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			s.method = method
			*s.password = auth.NewSecret("wrong")
			v := s.start(t)
			for range 5 { // five restarts
				var all sync.WaitGroup
				for range 50 {
					all.Go(func() {
						var u *lease.Unavailable
						if err := v.call(); !errors.As(err, &u) || u.Reason != lease.Refused {
							t.Errorf("got %v, want refused", err)
						}
					})
				}
				all.Wait()
				v.crash()
				v = s.start(t)
			}
			if _, _, refused := s.device.count(); refused != 1 {
				t.Errorf("the device refused %d logins, want 1", refused)
			}
			*s.password = auth.NewSecret("right")
			eventually(t, "served with the corrected password", func() bool { return v.call() == nil })
			if err := v.Check(context.Background(), "bmc1"); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
}

// A certificate that goes with each call takes no place at the device, and owes no
// logout after a crash.
func TestCertificateOpensNothing(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.method, s.budget, s.device.slots = auth.MethodCertificate, 1, 0
	v := s.start(t)
	for range 3 {
		for range 3 {
			if err := v.call(); err != nil {
				t.Fatal(err)
			}
		}
		rows, err := v.store.OpenLeases(t.Context())
		if err != nil || len(rows) != 0 {
			t.Errorf("%d leases count, %v", len(rows), err)
		}
		v.crash()
		v = s.start(t)
	}
	if sessions, logins, refused := s.device.count(); sessions != 0 || logins != 3 || refused != 0 {
		t.Errorf("%d sessions, %d logins, %d refused; want one login for each start", sessions, logins, refused)
	}
}

func TestCheckSpendsAnAttempt(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	*s.password = auth.NewSecret("wrong")
	v := s.start(t)
	v.call()
	s.device.password = "wrong" // the device was corrected instead
	var u *lease.Unavailable
	if err := v.call(); !errors.As(err, &u) || u.Reason != lease.Refused {
		t.Fatalf("got %v, want refused", err)
	}
	if err := v.Check(context.Background(), "bmc1"); err != nil {
		t.Fatal(err)
	}
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
}

func TestFullDeviceIsBackPressure(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.device.slots = 1
	s.device.add("person", "")
	v := s.start(t)
	got := make(chan error)
	go func() { got <- v.call() }()
	eventually(t, "asked twice", func() bool { _, n, _ := s.device.count(); return n >= 2 })
	s.device.drop()
	if err := <-got; err != nil {
		t.Errorf("got %v, want a place once the device has one", err)
	}

	s = newSetup(t)
	s.device.slots, s.queue = 0, 300*time.Millisecond
	v = s.start(t)
	var u *lease.Unavailable
	if err := v.call(); !errors.As(err, &u) || u.Reason != lease.Full || u.RetryAfter <= 0 {
		t.Errorf("got %v, want full with a time to retry", err)
	}
}

func TestIdleCrashIsAdoptedWithoutACall(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	v := s.start(t)
	for range 10 {
		if err := v.call(); err != nil {
			t.Fatal(err)
		}
		v.crash()
		v = s.start(t)
	}
	d := s.device
	if d.logins != 1 || d.touches != 0 || d.logouts != 0 {
		t.Errorf("got %d logins, %d touches, %d logouts, want 1, 0, 0", d.logins, d.touches, d.logouts)
	}
}

func TestCrashDuringLogin(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	v := s.start(t)
	if err := v.call(); err != nil { // the password is proven
		t.Fatal(err)
	}
	v.Shutdown(context.Background())
	v.crash()

	person := s.device.add("postern", "")
	s.device.hang = make(chan struct{}) // the session is made, the answer never seen
	v = s.start(t)
	ctx, cancel := context.WithCancel(context.Background())
	go v.Acquire(ctx, "bmc1")
	eventually(t, "the session is made", func() bool { n, _, _ := s.device.count(); return n == 2 })
	cancel()
	v.crash()

	hang := s.device.hang
	s.device.mu.Lock()
	s.device.hang = nil
	s.device.mu.Unlock()
	v = s.start(t)
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the orphan is ended by its nonce", func() bool { n, _, _ := s.device.count(); return n == 2 })
	if !s.device.lives(person) {
		t.Error("a person's session was ended")
	}
	eventually(t, "nothing is owed", func() bool {
		rows, err := v.store.OpenLeases(context.Background())
		return err == nil && len(rows) == 1 && rows[0].State == lease.Held
	})
	close(hang)
}

// Where the device keeps no nonce, a lost login is ended if the account is ours
// alone and a session fits it; else it stays counted.
func TestLostLoginWithoutNonce(t *testing.T) {
	t.Parallel()
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprint(alone), func(t *testing.T) {
			t.Parallel()
			s := newSetup(t)
			s.alone, s.device.forgets = alone, true
			other := s.device.add("somebody", "")
			s.device.script = func(step string) error {
				if step == "login" && s.device.logins == 1 {
					s.device.add("postern", "")
					return &auth.LoginError{Outcome: auth.Unknown, Sent: true, Err: errors.New("cut")}
				}
				return nil
			}
			v := s.start(t)
			if err := v.call(); err != nil {
				t.Fatal(err)
			}
			left := 3 // the other's, ours, and the lost one
			if alone {
				left = 2
			}
			eventually(t, "the sweep has seen it", func() bool {
				n, _, _ := s.device.count()
				st, err := v.Status(context.Background())
				return n == left && err == nil && st[0].Open == left-1
			})
			s.device.mu.Lock()
			defer s.device.mu.Unlock()
			if !s.device.lives(other) {
				t.Error("another account's session was ended")
			}
		})
	}
}

// A device that refuses logouts is asked again with growing pauses.
func TestRefusedLogoutIsNotHammered(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.device.script = func(step string) error {
		if step == "logout" {
			return errors.New("503")
		}
		return nil
	}
	v := s.start(t)
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
	v.Remove("bmc1")
	time.Sleep(time.Second)
	s.device.mu.Lock()
	defer s.device.mu.Unlock()
	if n := s.device.logouts; n < 1 || n > 4 { // at once, then after 0.25, 0.5 and 1 s
		t.Errorf("%d logouts in a second", n)
	}
}

// A token that is refused at the logout, although it lives, is sent again.
func TestStrayRefusalAtLogout(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.device.script = func(step string) error {
		if step == "logout" && s.device.logouts == 1 {
			return auth.ErrNoSession
		}
		return nil
	}
	v := s.start(t)
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
	if err := v.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n, _, _ := s.device.count(); n != 0 {
		t.Errorf("%d sessions left", n)
	}
}

// A device that drops our session again and again is listed and served all the
// same, however many leases it has made doubtful meanwhile.
func TestDroppedAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.budget = 1
	lists := 0
	s.device.script = func(step string) error {
		if step != "list" || lists == 3 {
			return nil
		}
		lists++
		clear(s.device.sessions)
		return auth.ErrNoSession
	}
	v := s.start(t)
	u, err := v.Acquire(context.Background(), "bmc1")
	if err != nil {
		t.Fatal(err)
	}
	s.device.drop()
	if err := u.Unauthorized(context.Background()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all but the living lease are settled", func() bool {
		st, err := v.Status(context.Background())
		return err == nil && st[0].Held && st[0].Open == 1
	})
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
}

// Two crashes that hid the answers to an unproven password use up its two
// attempts: the device may have refused both.
func TestCrashesDuringUnprovenLogins(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	*s.password = auth.NewSecret("wrong")
	hang := make(chan struct{})
	defer close(hang)
	for n := 1; n <= 2; n++ {
		s.device.script = func(string) error { <-hang; return errors.New("cut") }
		v := s.start(t)
		go v.Acquire(context.Background(), "bmc1")
		eventually(t, "the login is sent", func() bool { return !s.device.mu.TryLock() || unlock(&s.device.mu) })
		v.crash()
		fresh := newDevice()
		fresh.logins = n
		s.device = fresh
	}
	v := s.start(t)
	var u *lease.Unavailable
	if err := v.call(); !errors.As(err, &u) || u.Reason != lease.Refused {
		t.Errorf("got %v, want refused", err)
	}
	if _, logins, _ := s.device.count(); logins != 2 {
		t.Errorf("got %d logins, want 2", logins)
	}
}

// unlock undoes a TryLock that showed nobody at the device.
func unlock(mu *sync.Mutex) bool {
	mu.Unlock()
	return false
}

func TestFailedLogoutStaysOwed(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	v := s.start(t)
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
	s.device.mu.Lock()
	s.device.script = func(step string) error {
		if step == "logout" {
			return errors.New("503")
		}
		return nil
	}
	s.device.mu.Unlock()
	v.Shutdown(context.Background())
	v.crash()
	v = s.start(t)
	st, err := v.Status(context.Background())
	if err != nil || len(st) != 1 || st[0].Owed != 1 {
		t.Errorf("got %+v, %v, want one owed lease", st, err)
	}
	s.device.mu.Lock()
	s.device.script = nil
	s.device.mu.Unlock()
	eventually(t, "the owed lease is ended", func() bool { n, _, _ := s.device.count(); return n == 0 })
}

func TestOwedLeasesCountAgainstTheBudget(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	s.budget, s.queue = 2, 2*time.Second
	s.device.slots = 100
	s.device.script = func(step string) error { // every answer is lost, every session made
		if step == "login" && s.device.logins > 1 {
			s.device.add("postern", "")
			return &auth.LoginError{Outcome: auth.Unknown, Sent: true, Err: errors.New("cut")}
		}
		return nil
	}
	v := s.start(t)
	if err := v.call(); err != nil { // proves the password
		t.Fatal(err)
	}
	s.device.drop()
	u, err := v.Acquire(context.Background(), "bmc1")
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Unauthorized(context.Background()); err != nil {
		t.Fatal(err)
	}
	var un *lease.Unavailable
	if err := v.call(); !errors.As(err, &un) || un.Reason != lease.Full {
		t.Errorf("got %v, want full", err)
	}
	st, err := v.Status(context.Background())
	if err != nil || len(st) != 1 || st[0].Open > s.budget+1 {
		t.Errorf("got %+v, %v, want at most one above the budget", st, err)
	}
}

func TestRemovedTargetIsLoggedOut(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	v := s.start(t)
	if err := v.call(); err != nil {
		t.Fatal(err)
	}
	v.Remove("bmc1")
	if n, _, _ := s.device.count(); n != 0 {
		t.Errorf("%d sessions left", n)
	}
	var u *lease.Unavailable
	if err := v.call(); !errors.As(err, &u) || u.Reason != lease.NoTarget {
		t.Errorf("got %v, want no target", err)
	}
}
