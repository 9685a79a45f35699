package wiretest

import (
	"os"
	"testing"
)

// Sides are a client and a server that one transcript drives.
type Sides struct {
	// File holds the transcript.
	File string
	// Drawn describes what is drawn. It is called for each run.
	Drawn func() []Drawn
	// Server returns a new server.
	Server func(t *testing.T) Wire
	// Client does what the client of the transcript does, against a server.
	Client func(t *testing.T, server Wire)
}

// Test runs each side against the transcript, in parallel. With update it has the
// two sides talk to each other first, and writes the transcript anew.
func (s Sides) Test(t *testing.T, update bool) {
	t.Helper()
	if update {
		s.record(t)
	}
	file, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Parse(string(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		if err := Play(s.Server(t), all, s.drawn()...); err != nil {
			t.Error(err)
		}
	})
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		p := NewReplayer(all, s.drawn()...)
		s.Client(t, p.Wire)
		if err := p.Done(); err != nil {
			t.Error(err)
		}
	})
}

func (s Sides) record(t *testing.T) {
	t.Helper()
	r := NewRecorder(s.Server(t), s.drawn()...)
	s.Client(t, r.Wire)
	text, err := r.Transcript()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.File, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

func (s Sides) drawn() []Drawn {
	if s.Drawn == nil {
		return nil
	}
	return s.Drawn()
}
