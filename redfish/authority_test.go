package redfish_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/postern/postern/auth"
)

// The people of the tests.
const (
	password = "Xk7-labSecret.9"
	listener = "bmc1"
)

// memory is an authority of the outside world: a map. The real one lives
// above this package and is tested with it there.
type memory struct {
	mu       sync.Mutex
	roles    map[auth.AccountName]auth.Role
	sessions []held
	limit    int
	custom   map[auth.Role]auth.Privileges
	must     map[auth.AccountName]bool // change their password
	fault    error                     // answers every Login and Check
	attempts []auth.Attempt
	n        int
}

type held struct {
	auth.Session
	token string
}

func newMemory() *memory {
	return &memory{
		limit: 64,
		roles: map[auth.AccountName]auth.Role{
			"admin": auth.Administrator, "oper": auth.Operator, "reader": auth.ReadOnly, "jörg": auth.ReadOnly,
		},
	}
}

func (m *memory) judge(a auth.Attempt) (auth.Principal, error) {
	m.attempts = append(m.attempts, a)
	if m.fault != nil {
		return auth.Principal{}, m.fault
	}
	if a.Kind == auth.Certificate && len(a.Chain) == 0 {
		return auth.Principal{}, auth.ErrBadCredentials
	}
	if a.Kind == auth.Certificate {
		a.Account = auth.AccountName(a.Chain[0].Subject.CommonName)
		a.Password = auth.NewSecret(password)
	}
	role, ok := m.roles[a.Account]
	if !ok || !a.Password.Equal(auth.NewSecret(password)) {
		return auth.Principal{}, fmt.Errorf("judge %q: %w", a.Account, auth.ErrBadCredentials)
	}
	return auth.Principal{
		Account: a.Account, AccountID: "id-" + string(a.Account), Role: role,
		Privileges: m.custom[role], MustChangePassword: m.must[a.Account],
	}, nil
}

func (m *memory) Login(_ context.Context, a auth.Attempt) (auth.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, err := m.judge(a)
	if err != nil {
		return auth.Session{}, err
	}
	if len(m.sessions) >= m.limit {
		return auth.Session{}, auth.ErrSessionLimit
	}
	m.n++
	s := auth.Session{
		ID: fmt.Sprintf("s%d", m.n), Principal: p, Listener: a.Listener, Source: a.Source, Context: a.Context,
		Created: time.Date(2026, 11, 21, 17, 0, m.n, 0, time.UTC), Idle: 30 * time.Minute,
		Kind: a.Kind, InitialRole: p.Role,
	}
	if a.NewSessionID != nil {
		a.SessionID = a.NewSessionID(p.Account)
	}
	if a.SessionID != "" {
		s.ID = a.SessionID
	}
	m.sessions = append(m.sessions, held{s, a.Token.Reveal()})
	return s, nil
}

func (m *memory) Check(_ context.Context, a auth.Attempt) (auth.Principal, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.judge(a)
}

func (m *memory) find(match func(held) bool) (auth.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.sessions, match); i >= 0 {
		return m.sessions[i].Session, nil
	}
	return auth.Session{}, auth.ErrNoSession
}

func (m *memory) Lookup(listener, token string) (auth.Session, error) {
	return m.find(func(h held) bool { return h.token == token && h.Listener == listener })
}

func (m *memory) Session(listener, id string) (auth.Session, error) {
	return m.find(func(h held) bool { return h.ID == id && h.Listener == listener })
}

func (m *memory) Sessions(listener string) []auth.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []auth.Session
	for _, h := range m.sessions {
		if h.Listener == listener {
			out = append(out, h.Session)
		}
	}
	return out
}

func (m *memory) Logout(_ context.Context, by auth.Principal, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.sessions, func(h held) bool { return h.ID == id })
	switch {
	case i < 0:
		return auth.ErrNoSession
	case by.Role != auth.Administrator && !by.Privileges.Has(auth.ConfigureManager) && m.sessions[i].Principal.Account != by.Account:
		return auth.ErrForbidden
	}
	m.sessions = slices.Delete(m.sessions, i, i+1)
	return nil
}

// expire ends every session behind its owner's back.
func (m *memory) expire() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions = nil
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sessions)
}

func (m *memory) asked() []auth.Attempt {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.attempts)
}
