package redfish

import (
	"net/http"
	"strings"
)

// An envelope is the form of the messages that a service answers with.
type envelope struct {
	base string // registry and version of the Base messages: "Base.1.12."
	oem  string // of the vendor's own, whose keys begin with oemPrefix
	// code and text are those of every error; empty: those of its message.
	code, text string
	// messageType is that of a message; "" is a bare one, of which clients read
	// "the first value": MessageId stands first.
	messageType string
	// renamed are messages that the vendor has another one for, with its status.
	renamed map[string]renamed
}

type renamed struct {
	status int
	key    string
}

// oemPrefix begins the keys of iLO's own messages: "iLO.InvalidLicenseKey".
const oemPrefix = "iLO."

// generic is the envelope of DMTF's documents.
var generic = envelope{base: registry, oem: "iLO.2.18.", messageType: messageType}

// envelope returns the form of the profile's messages.
func (p Profile) envelope() *envelope {
	if p.flavour == nil {
		return &generic
	}
	return &p.flavour.envelope
}

// translate returns the problem as the profile tells it.
func (p Profile) translate(problem *Problem) *Problem {
	to, ok := p.envelope().renamed[problem.Key]
	if !ok {
		return problem
	}
	out := *problem
	out.Status, out.Key, out.Args, out.Text = to.status, to.key, nil, ""
	return &out
}

// errorBody is the wire form of the problem in the profile.
func (p Profile) errorBody(problem *Problem) any { return p.envelope().body(problem) }

// body returns the wire form of a whole answer. With several messages the code
// is GeneralError (DSP0266 1.8.1, 8.6).
func (e *envelope) body(p *Problem) any {
	first := p.messageIn(e)
	code, text := e.code, e.text
	if code == "" {
		code, text = first.MessageID, first.Message
	}
	if e.code == "" && len(p.More) > 0 {
		code, text = e.base+keyGeneralError, messages[keyGeneralError].text
	}
	if e.messageType == "" {
		b := bareError{Code: code, Message: text, ExtendedInfo: []bareMessage{first.bare(p)}}
		for i := range p.More {
			b.ExtendedInfo = append(b.ExtendedInfo, p.More[i].messageIn(e).bare(&p.More[i]))
		}
		return map[string]bareError{"error": b}
	}
	b := ErrorBody{Code: code, Message: text, ExtendedInfo: []Message{first}}
	for i := range p.More {
		b.ExtendedInfo = append(b.ExtendedInfo, p.More[i].messageIn(e))
	}
	return Error{Error: b}
}

// A bareError is ErrorBody with messages that say no more than they must.
type bareError struct {
	Code         string        `json:"code"`
	Message      string        `json:"message"`
	ExtendedInfo []bareMessage `json:"@Message.ExtendedInfo"`
}

// A bareMessage leaves its text to the registry. Message is for a sentence that
// stands in none.
type bareMessage struct {
	MessageID   string   `json:"MessageId"`
	MessageArgs []string `json:"MessageArgs,omitempty"`
	Message     string   `json:"Message,omitempty"`
}

func (m Message) bare(p *Problem) bareMessage {
	return bareMessage{MessageID: m.MessageID, MessageArgs: m.MessageArgs, Message: p.Text}
}

// id returns the MessageId of a key.
func (e *envelope) id(key string) string {
	if own, ok := strings.CutPrefix(key, oemPrefix); ok {
		return e.oem + own
	}
	return e.base + key
}

// WriteMessage answers with a message that is no error, in the form that errors
// have: what was done, where there is nothing to show. key is of the Base
// registry, or one of iLO's own: "iLO.ResetRequired".
func WriteMessage(w http.ResponseWriter, r *http.Request, status int, key string, args ...string) {
	p := &Problem{Status: status, Key: key, Args: args}
	faceOf(r).place(w.Header(), r)
	writeJSON(w, r, status, faceOf(r).profile.errorBody(p))
}

// WriteDone is the answer to a change that has nothing to show: a 204, or in
// some profiles a message of success.
func WriteDone(w http.ResponseWriter, r *http.Request) {
	if f := faceOf(r).profile.flavour; f != nil && f.changes {
		WriteMessage(w, r, http.StatusOK, keySuccess)
		return
	}
	WriteNoContent(w)
}

// A RegistryMessage is one entry of a message registry.
type RegistryMessage struct {
	Message    string
	Severity   string
	Resolution string
	Args       int // how many arguments the text has
}

// RegistryMessages returns what this package can answer with, of the registry
// Base or iLO, by key.
func RegistryMessages(name string) map[string]RegistryMessage {
	out := make(map[string]RegistryMessage)
	table := messages
	if name+"." == oemPrefix {
		table = iloMessages
	}
	for key, m := range table {
		out[strings.TrimPrefix(key, oemPrefix)] = RegistryMessage{m.text, m.severity, m.resolution, argsOf(m.text)}
	}
	return out
}

// RegistryVersion returns registry and version as the profile's messages have
// them, "Base.1.12", of the registry Base or iLO.
func (p Profile) RegistryVersion(name string) string {
	id := p.envelope().base
	if name+"." == oemPrefix {
		id = p.envelope().oem
	}
	return strings.TrimSuffix(id, ".")
}

// argsOf is the highest argument in a text.
func argsOf(text string) (n int) {
	for i := 0; i+1 < len(text); i++ {
		if c := text[i+1]; text[i] == '%' && c >= '1' && c <= '9' {
			n = max(n, int(c-'0'))
		}
	}
	return n
}
