package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Event names. Families and services add their own, in the same manner
// ("admin.account.add"); only those that begin and end something are known here.
const (
	EpochStart     = "epoch.start"   // written by the Log
	SegmentStart   = "segment.start" // written by the Log
	Attempt        = "attempt"       // somebody tried to log in, and what came of it
	SessionStart   = "session.start" // a session is about to be committed
	SessionEnd     = "session.end"
	LeaseLogin     = "lease.login" // a login at a device is about to be sent
	LeaseLoginEnd  = "lease.login.end"
	LeaseLogout    = "lease.logout" // a logout at a device is about to be sent
	LeaseLogoutEnd = "lease.logout.end"
	Call           = "call"       // a read, recorded after it
	CallBegin      = "call.begin" // a call with an effect is about to be sent
	CallEnd        = "call.end"
)

// Outcomes that the Log itself writes.
const (
	OutcomeUnknown = "unknown"  // it may have happened: a crash hid it
	OutcomeNotDone = "not done" // recorded, but whoever asked for the record went away first
)

// endOf maps what begins something to what ends it.
var endOf = map[string]string{
	CallBegin:    CallEnd,
	LeaseLogin:   LeaseLoginEnd,
	LeaseLogout:  LeaseLogoutEnd,
	SessionStart: Attempt,
}

// beginOf is endOf the other way round. A session that has ended has begun, too.
var beginOf = map[string]string{
	Attempt:        SessionStart,
	SessionEnd:     SessionStart,
	CallEnd:        CallBegin,
	LeaseLoginEnd:  LeaseLogin,
	LeaseLogoutEnd: LeaseLogout,
}

// mayUseReserve are the events that must be recorded even on a full disk: each
// ends something that would otherwise stay open at a device or in the log.
var mayUseReserve = map[string]bool{
	CallEnd:        true,
	LeaseLoginEnd:  true,
	LeaseLogout:    true,
	LeaseLogoutEnd: true,
	SessionEnd:     true,
}

// A Record is one line of the log. It never holds a secret. Text that is longer
// than its limit is cut, with a mark that says by how much.
type Record struct {
	// Set by the Log.
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Node    string    `json:"node"`
	Epoch   int64     `json:"epoch"`
	Head    *Head     `json:"head,omitempty"`    // first of a segment: what it continues from
	Carries int       `json:"carries,omitempty"` // first of a segment: so many carried records follow
	Carried bool      `json:"carried,omitempty"` // repeats a begin that is still open; keeps its Time

	// Given by the caller.
	Event     string `json:"event"`
	Ref       string `json:"ref,omitempty"` // joins begin and end of one thing
	RequestID string `json:"request_id,omitempty"`
	Listener  string `json:"listener,omitempty"`
	Source    string `json:"source,omitempty"` // the caller's address
	Caller    string `json:"caller,omitempty"` // account at Postern
	Target    string `json:"target,omitempty"`
	Account   string `json:"account,omitempty"` // account at the device, or the one that is administered
	Method    string `json:"method,omitempty"`
	Path      string `json:"path,omitempty"`
	Status    int    `json:"status,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	Detail    string `json:"detail,omitempty"`
}

// A Head is the last record of a chain: what a checkpoint keeps.
type Head struct {
	File string `json:"file"`
	Seq  int64  `json:"seq"`
	MAC  MAC    `json:"mac"`
	End  int64  `json:"end"` // the offset in File where the record's line ends
}

// A MAC is the chained code of one record; as text it is lower-case hex.
type MAC [32]byte

// String returns the MAC in hex.
func (m MAC) String() string { return hex.EncodeToString(m[:]) }

// MarshalText returns the MAC in hex.
func (m MAC) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, m[:]), nil }

// UnmarshalText accepts exactly what MarshalText gives.
func (m *MAC) UnmarshalText(b []byte) error {
	if len(b) != 2*len(m) || bytes.ContainsAny(b, "ABCDEF") {
		return fmt.Errorf("audit: a mac has %d lower-case hex digits", 2*len(m))
	}
	_, err := hex.Decode(m[:], b)
	return err
}

// Limits of the text in a record, in bytes. Paths and details may come from
// peers; the limits keep every line below maxLine, whatever they hold.
const (
	maxText   = 512
	maxPath   = 2048
	maxDetail = 4096
)

// bounded returns r with every text cut to its limit.
func bounded(r Record) Record {
	for _, s := range []*string{&r.Event, &r.Ref, &r.RequestID, &r.Listener, &r.Source, &r.Caller,
		&r.Target, &r.Account, &r.Method, &r.Outcome} {
		*s = cut(*s, maxText)
	}
	r.Path = cut(r.Path, maxPath)
	r.Detail = cut(r.Detail, maxDetail)
	return r
}

func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	n := limit
	for n > limit-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return fmt.Sprintf("%s…(%d bytes cut)", s[:n], len(s)-n)
}

// encode returns the JSON of r.
func encode(r *Record) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return escapeInvisible(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// escapeInvisible writes control and format characters beyond those that JSON
// must escape as \u sequences, so that a hostile name cannot steer the terminal
// of whoever reads the file. They only occur inside strings.
func escapeInvisible(b []byte) []byte {
	plain := true
	for _, c := range b {
		if c >= 0x7f {
			plain = false
			break
		}
	}
	if plain {
		return b
	}
	var out strings.Builder
	for _, r := range string(b) {
		switch {
		case r < 0x7f || !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp):
			out.WriteRune(r)
		case r > 0xffff:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
	}
	return []byte(out.String())
}
