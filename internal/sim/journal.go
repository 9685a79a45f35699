package sim

import (
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// The events of a journal.
const (
	eventLogin        = "login"         // a session was made
	eventLoginRefused = "login-refused" // a login POST without a session, or a Basic call with refused credentials
	eventLogout       = "logout"        // a session was ended by a request
	eventExpired      = "expired"       // a session ended by itself
	eventCall         = "call"          // everything else
)

// A line is one event. Time is the true time, without the device's clock
// offset, so that a journal can be laid beside other records.
type line struct {
	Time    string `json:"time"`
	Event   string `json:"event"`
	Method  string `json:"method,omitempty"`
	Path    string `json:"path,omitempty"`
	Status  int    `json:"status,omitempty"`
	User    string `json:"user,omitempty"`
	Session string `json:"session,omitempty"`
	Peer    string `json:"peer,omitempty"`
}

// maxJournalText bounds what one peer-chosen text may take in a journal line.
const maxJournalText = 2048

// A journal writes one JSON line per event, each with one Write. A nil writer
// keeps nothing.
type journal struct {
	mu  sync.Mutex // keeps lines of one device whole and in order
	w   io.Writer
	now func() time.Time
	log *slog.Logger
}

// write adds l. What cannot be written is logged; the device goes on.
func (j *journal) write(l line) {
	if j.w == nil {
		return
	}
	l.Time = j.now().UTC().Format(time.RFC3339Nano)
	l.Path, l.User = shorten(l.Path), shorten(l.User)
	b, err := json.Marshal(l)
	if err == nil {
		j.mu.Lock()
		defer j.mu.Unlock()
		_, err = j.w.Write(append(b, '\n'))
	}
	if err != nil {
		j.log.Error("journal line not written", "error", err)
	}
}

func shorten(text string) string {
	if len(text) <= maxJournalText {
		return text
	}
	return strings.ToValidUTF8(text[:maxJournalText], "")
}
