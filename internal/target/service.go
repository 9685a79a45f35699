package target

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/seal"
)

// What a Service and a Store refuse with.
var (
	ErrNotFound = errors.New("no such target")
	ErrExists   = errors.New("there is a target of this name already")
	// ErrFromFile: the target is described in the configuration file.
	ErrFromFile = errors.New("the target comes from the configuration file: change it there")
	// ErrPasswordNeeded: the stored password is for another place. It was sealed
	// for one name, URL and certificate, so that whoever edits these does not
	// get it sent there.
	ErrPasswordNeeded = errors.New("the stored password was given for another URL or certificate: give the password again")
)

// A Store keeps targets. Each method is one transaction.
type Store interface {
	// CreateTarget adds t. Error: ErrExists.
	CreateTarget(ctx context.Context, t Target, at time.Time) error
	// Target returns the target of this name. Error: ErrNotFound.
	Target(ctx context.Context, name string) (Target, error)
	// Targets returns all targets by name.
	Targets(ctx context.Context) ([]Target, error)
	// UpdateTarget replaces the target of t's name. Errors: ErrNotFound, ErrFromFile.
	UpdateTarget(ctx context.Context, t Target, at time.Time) error
	// DeleteTarget removes a target. Errors: ErrNotFound, ErrFromFile.
	DeleteTarget(ctx context.Context, name string, at time.Time) error
	// ReplaceFileTargets makes list the whole of what comes from the file: adds,
	// changes and removes, and leaves alone what is the same. Where a name is in
	// use by another origin the error matches ErrExists and names it, and nothing
	// is changed.
	ReplaceFileTargets(ctx context.Context, list []Target, at time.Time) (Changes, error)
}

// Changes are the names of the targets that a Reconcile changed, sorted.
type Changes struct{ Added, Changed, Removed []string }

// Config of a Service.
type Config struct {
	Store Store
	Key   *seal.Key
	Now   func() time.Time
	Log   *slog.Logger
}

// A Service is safe for concurrent use.
type Service struct {
	store Store
	key   *seal.Key
	now   func() time.Time
	log   *slog.Logger

	mu     sync.Mutex // guards warned
	warned map[string]fs.FileMode
}

// New checks c.
func New(c Config) (*Service, error) {
	if c.Store == nil || c.Key == nil {
		return nil, errors.New("target: a store and a key are needed")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Service{store: c.Store, key: c.Key, now: c.Now, log: c.Log, warned: map[string]fs.FileMode{}}, nil
}

// Add stores a new target. password is kept sealed; it is given where t has no
// Source, and only there. Errors: those of Validate, ErrExists.
func (s *Service) Add(ctx context.Context, t Target, password auth.Secret) (Target, error) {
	t.Origin = OriginCommand
	if t.Source == "" && password.IsZero() {
		return t, fmt.Errorf("target %q: it needs a password, or a reference to one", t.Name)
	}
	t, err := s.prepare(t, password)
	if err != nil {
		return t, err
	}
	if err := s.store.CreateTarget(ctx, t, s.now()); err != nil {
		return t, fmt.Errorf("target %q: add: %w", t.Name, err)
	}
	return s.Get(ctx, t.Name)
}

// Update replaces the target of t's name. A zero password keeps the stored one,
// unless URL, CA or pin change or there is none: ErrPasswordNeeded. Further
// errors: those of Validate, ErrNotFound, ErrFromFile.
func (s *Service) Update(ctx context.Context, t Target, password auth.Secret) (Target, error) {
	old, err := s.Get(ctx, t.Name)
	if err != nil {
		return t, err
	}
	if old.Origin == OriginFile {
		return t, fmt.Errorf("target %q: %w", t.Name, ErrFromFile)
	}
	t.Origin, t.Sealed = old.Origin, nil
	keep := t.Source == "" && password.IsZero()
	if t, err = s.prepare(t, password); err != nil {
		return t, err
	}
	if keep {
		if len(old.Sealed) == 0 || !slices.Equal(place(t), place(old)) || t.Certificate != old.Certificate {
			return t, fmt.Errorf("target %q: %w", t.Name, ErrPasswordNeeded)
		}
		t.Sealed = old.Sealed
	}
	if err := s.store.UpdateTarget(ctx, t, s.now()); err != nil {
		return t, fmt.Errorf("target %q: update: %w", t.Name, err)
	}
	return s.Get(ctx, t.Name)
}

// SetPin accepts a certificate of the device by its pin, in place of the pin or
// CAs that were stored. Somebody has looked at the certificate and wants it, so
// a stored password is sealed for it, too. Errors: as of Update.
func (s *Service) SetPin(ctx context.Context, name, pin string) (Target, error) {
	t, err := s.Get(ctx, name)
	if err != nil {
		return t, err
	}
	var password auth.Secret
	if t.Source == "" {
		if password, err = s.open(t); err != nil {
			return t, err
		}
	}
	t.CAPEM, t.Pin = "", pin
	return s.Update(ctx, t, password)
}

// Remove removes a target. Errors: ErrNotFound, ErrFromFile.
func (s *Service) Remove(ctx context.Context, name string) error {
	if err := s.store.DeleteTarget(ctx, name, s.now()); err != nil {
		return fmt.Errorf("target %q: remove: %w", name, err)
	}
	return nil
}

// Get returns a target. Error: ErrNotFound.
func (s *Service) Get(ctx context.Context, name string) (Target, error) {
	t, err := s.store.Target(ctx, name)
	if err != nil {
		return t, fmt.Errorf("target %q: %w", name, err)
	}
	return t, nil
}

// List returns all targets by name.
func (s *Service) List(ctx context.Context) ([]Target, error) {
	list, err := s.store.Targets(ctx)
	if err != nil {
		return nil, fmt.Errorf("targets: %w", err)
	}
	return list, nil
}

// Reconcile makes the targets of the configuration file those of the store: it
// adds, changes and removes. Passwords in the file are references and stay so. A
// name that commands use already is an error that names it, and nothing is changed.
func (s *Service) Reconcile(ctx context.Context, fromFile []Target) (Changes, error) {
	list := make([]Target, 0, len(fromFile))
	seen := map[string]bool{}
	for _, t := range fromFile {
		t.Origin, t.Sealed = OriginFile, nil
		t, err := normal(t)
		if err != nil {
			return Changes{}, err
		}
		if t.Source == "" {
			return Changes{}, fmt.Errorf("target %q: it needs a reference to a password", t.Name)
		}
		if seen[t.Name] {
			return Changes{}, fmt.Errorf("target %q is described twice", t.Name)
		}
		seen[t.Name] = true
		list = append(list, t)
	}
	c, err := s.store.ReplaceFileTargets(ctx, list, s.now())
	if errors.Is(err, ErrExists) {
		return c, fmt.Errorf("%w; it was added by a command: remove it there (postern target remove) or rename it in the file", err)
	}
	return c, err
}

// Credential reads the password of a target, or its certificate, from its source, each time anew.
// Errors: ErrNotFound, ErrPasswordNeeded, and what the source failed with.
func (s *Service) Credential(ctx context.Context, name string) (auth.Credential, error) {
	t, err := s.Get(ctx, name)
	if err != nil {
		return auth.Credential{}, err
	}
	secret, err := s.secret(ctx, t)
	if err != nil {
		return auth.Credential{}, err
	}
	if t.Certificate == "" {
		return auth.Credential{Account: t.Account, Password: secret}, nil
	}
	c, err := clientCertificate(t, secret)
	if err != nil {
		return auth.Credential{}, fmt.Errorf("target %q: %w", t.Name, err)
	}
	return auth.Credential{Account: t.Account, Certificate: c}, nil
}

// secret is the password of a target, or the key of its certificate.
func (s *Service) secret(ctx context.Context, t Target) (auth.Secret, error) {
	if t.Source == "" {
		return s.open(t)
	}
	src, err := parseSource(t.Source)
	if err != nil {
		return auth.Secret{}, fmt.Errorf("target %q: %w", t.Name, err)
	}
	password, exposed, err := src.read(ctx, t.maxSecret())
	if err != nil {
		return auth.Secret{}, fmt.Errorf("target %q: %w", t.Name, err)
	}
	s.warn(ctx, t.Name, src, exposed)
	return password, nil
}

// warn says once for each file and mode that others can reach a password.
func (s *Service) warn(ctx context.Context, name string, src source, exposed fs.FileMode) {
	s.mu.Lock()
	said := s.warned[src.value] == exposed
	s.warned[src.value] = exposed
	s.mu.Unlock()
	if exposed != 0 && !said {
		s.log.LogAttrs(ctx, slog.LevelWarn, "target: others can read or write the file of a password or key; run chmod 600 on it",
			slog.String("target", name), slog.String("file", src.value), slog.String("mode", fmt.Sprintf("%04o", exposed)))
	}
}

// prepare checks t, and seals password, or the certificate's key, where there is one.
func (s *Service) prepare(t Target, password auth.Secret) (Target, error) {
	t.Sealed = nil
	t, err := normal(t)
	if err != nil || password.IsZero() {
		return t, err
	}
	if t.Source != "" {
		return t, fmt.Errorf("target %q: its password comes from %s; a stored one would never be used", t.Name, t.Source)
	}
	if len(password.Reveal()) > t.maxSecret() {
		return t, fmt.Errorf("target %q: the password or key is longer than %d bytes", t.Name, t.maxSecret())
	}
	if t.Certificate != "" {
		if _, err := clientCertificate(t, password); err != nil {
			return t, fmt.Errorf("target %q: %w", t.Name, err)
		}
	}
	if t.Sealed, err = s.key.Seal(password, place(t)...); err != nil {
		return t, fmt.Errorf("target %q: %w", t.Name, err)
	}
	return t, nil
}

// maxSecret bounds the password or the key, in bytes.
func (t Target) maxSecret() int {
	if t.Certificate != "" {
		return maxKey
	}
	return maxPassword
}

func (s *Service) open(t Target) (auth.Secret, error) {
	password, err := s.key.Open(t.Sealed, place(t)...)
	if err != nil || password.IsZero() {
		return auth.Secret{}, fmt.Errorf("target %q: %w", t.Name, ErrPasswordNeeded)
	}
	return password, nil
}

// place is what a password is sealed for: the row, and where it is sent.
func place(t Target) []string { return []string{"target", t.Name, t.URL, t.Pin, t.CAPEM} }
