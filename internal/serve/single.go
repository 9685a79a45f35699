package serve

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

// A single is an authority that knows one account, with one password, for as
// long as the process runs. It is safe for concurrent use.
type single struct {
	account  auth.AccountName
	password auth.Secret

	mu       sync.Mutex // guards what follows
	sessions map[[sha256.Size]byte]auth.Session
}

// maxSingle bounds the sessions of a single account's port: one program uses it.
const maxSingle = 1000

func newSingle(account auth.AccountName, password auth.Secret) *single {
	return &single{account: account, password: password, sessions: map[[sha256.Size]byte]auth.Session{}}
}

// Check implements redfish.Authority.
func (s *single) Check(_ context.Context, a auth.Attempt) (auth.Principal, error) {
	if a.Kind != auth.Password || a.Account != s.account || !a.Password.Equal(s.password) {
		return auth.Principal{}, auth.ErrBadCredentials
	}
	return auth.Principal{Account: s.account, AccountID: string(s.account), Role: auth.Administrator, Privileges: auth.AllPrivileges}, nil
}

// Login implements redfish.Authority.
func (s *single) Login(ctx context.Context, a auth.Attempt) (auth.Session, error) {
	p, err := s.Check(ctx, a)
	if err != nil {
		return auth.Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sessions) >= maxSingle {
		return auth.Session{}, auth.ErrSessionLimit
	}
	now := time.Now()
	l := auth.Session{
		ID: a.SessionID, Principal: p, Listener: a.Listener, Source: a.Source, Context: a.Context,
		InitialRole: p.Role, Created: now, LastUsed: now,
	}
	if l.ID == "" {
		l.ID = rand.Text()
	}
	l.Principal.SessionID = l.ID
	s.sessions[sha256.Sum256([]byte(a.Token.Reveal()))] = l
	return l, nil
}

// Lookup implements redfish.Authority.
func (s *single) Lookup(_, token string) (auth.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, ok := s.sessions[sha256.Sum256([]byte(token))]; ok {
		return l, nil
	}
	return auth.Session{}, auth.ErrNoSession
}

// Sessions implements redfish.Authority.
func (s *single) Sessions(string) []auth.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]auth.Session, 0, len(s.sessions))
	for _, l := range s.sessions {
		all = append(all, l)
	}
	return all
}

// Session implements redfish.Authority.
func (s *single) Session(_, id string) (auth.Session, error) {
	for _, l := range s.Sessions("") {
		if l.ID == id {
			return l, nil
		}
	}
	return auth.Session{}, auth.ErrNoSession
}

// Logout implements redfish.Authority.
func (s *single) Logout(_ context.Context, _ auth.Principal, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, l := range s.sessions {
		if l.ID == id {
			delete(s.sessions, token)
			return nil
		}
	}
	return auth.ErrNoSession
}
