package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/target"
)

// clientBook is the folder of the saved logins in a data directory.
const clientBook = "client"

// ClientBook is where the client commands keep their logins under data.
func ClientBook(data string) string { return filepath.Join(data, clientBook) }

// ErrNoTarget: the store knows no such target, or there is no store.
var ErrNoTarget = errors.New("no such target")

// ClientTarget makes t the target of a client command; credential is asked
// when a login is needed.
func ClientTarget(t target.Target, credential func(context.Context) (auth.Credential, error), log *slog.Logger) (client.Target, error) {
	fam, err := findFamily(t.Family)
	if err != nil {
		return client.Target{}, err
	}
	data, dev, err := connect(t, credential, time.Now, log)
	if err != nil {
		return client.Target{}, err
	}
	return client.Target{
		Name: t.Name, URL: t.URL, Family: t.Family, Account: t.Account, Method: t.Method,
		Credential: credential, Device: dev.client, Transport: data, Untrusted: untrusted, Says: fam.says,
	}, nil
}

// untrusted reports whether a device's certificate is why nothing was sent.
func untrusted(err error) bool {
	if _, ok := errors.AsType[*target.PinError](err); ok {
		return true
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// A Stored is the targets of a data directory, which is left as it is, whether a
// server runs on it or not. Close it.
type Stored struct {
	store   *store.Store
	service *target.Service
}

// OpenStored opens the targets of a data directory: ErrNoTarget where it has
// never had any.
func OpenStored(ctx context.Context, data string, log *slog.Logger) (*Stored, error) {
	path, keyPath := filepath.Join(data, storeFile), filepath.Join(data, sealKey)
	for _, p := range []string{path, keyPath} {
		if _, err := os.Stat(p); errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNoTarget
		}
	}
	key, err := seal.LoadOrCreate(keyPath)
	if err != nil {
		return nil, err
	}
	st, err := store.Open(ctx, path, store.Options{ReadOnly: true})
	if err != nil {
		return nil, fmt.Errorf("read the targets: %w", err)
	}
	service, err := target.New(target.Config{Store: st, Key: key, Log: log})
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return &Stored{st, service}, nil
}

// Target returns the target of that name: ErrNoTarget.
func (s *Stored) Target(ctx context.Context, name string) (target.Target, error) {
	t, err := s.service.Get(ctx, name)
	if errors.Is(err, target.ErrNotFound) {
		err = ErrNoTarget
	}
	return t, err
}

// Targets returns all of them, by name.
func (s *Stored) Targets(ctx context.Context) ([]target.Target, error) { return s.service.List(ctx) }

// CredentialOf returns what reads the credential that Postern logs in to a target
// with, from wherever it is kept.
func (s *Stored) CredentialOf(name string) func(context.Context) (auth.Credential, error) {
	return func(ctx context.Context) (auth.Credential, error) { return s.service.Credential(ctx, name) }
}

// Close closes the store.
func (s *Stored) Close() error { return s.store.Close() }
