package redfish

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
)

// maxLoginBody bounds what somebody unknown may make us read. bmcweb takes
// 4096; long passwords and contexts fit here.
const maxLoginBody = 16 << 10

// maxContext bounds the text that a client leaves with its session.
const maxContext = 1024

// login answers the POST that makes a session.
func (h *Handler) login(w http.ResponseWriter, r *http.Request) {
	a, err := h.readLogin(w, r)
	if err == nil && h.rules().SessionsDisabled {
		err = auth.ErrServiceDisabled
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	s, err := h.cfg.Authority.Login(r.Context(), a)
	if errors.Is(err, auth.ErrBadCredentials) {
		err = refusedLogin(err)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	s.Principal.SessionID = s.ID
	r = r.WithContext(auth.WithPrincipal(r.Context(), s.Principal))
	h.give(loginAnswer(w, r), r, a.Token, s)
}

// loginAnswer holds back what the profile's answer to a login does not have.
func loginAnswer(w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	if f := faceOf(r).profile.flavour; f != nil && f.loginHeaders != nil {
		return loginWriter{w, f.loginHeaders}
	}
	return w
}

// give answers a login with what it gave.
func (h *Handler) give(w http.ResponseWriter, r *http.Request, token auth.Secret, s auth.Session) {
	at := sessionsURI + "/" + s.ID
	f := faceOf(r)
	head := w.Header()
	head.Set("X-Auth-Token", token.Reveal())
	head.Set("Location", f.absolute(r, at))
	body, tag := h.sessionBody(r, s)
	if f.misleads(body) {
		WriteMessage(w, r, http.StatusCreated, keyCreated)
		return
	}
	if s.Principal.MustChangePassword { // DSP0266 1.20.0, 13.3.7.1
		if o, err := topLevel(body); err == nil {
			refused := mustChange(f.uri(h.cfg.AccountURI(s.Principal)))
			body = set(body, o, "@Message.ExtendedInfo", encode([]Message{refused.messageIn(f.profile.envelope())}))
		}
	}
	body, tag = f.dress(body, tag)
	setHeader(head, "ETag", tag)
	if f.profile.flavour != nil && f.profile.flavour.loginHeaders != nil {
		head.Set("Link", "<"+f.uri(at)+">; rel=self")
	} else {
		f.describe(head, schemaOf(body))
	}
	writeBody(w, r, http.StatusCreated, "application/json", body)
}

// misleads reports whether a client would take a good answer for a refusal.
func (f face) misleads(body []byte) bool {
	if f.profile.flavour == nil {
		return false
	}
	for _, text := range f.profile.flavour.misread {
		if bytes.Contains(body, []byte(text)) {
			return true
		}
	}
	return false
}

// refusedLogin is the same answer for an unknown account, a wrong password, a
// locked and a disabled account.
func refusedLogin(err error) error {
	return &Problem{
		Status: http.StatusUnauthorized, Key: keyResourceAtURIUnauthorized,
		Args: []string{sessionsURI, "Invalid username or password"}, Err: err,
	}
}

// readLogin reads a login POST as far as the attempt it makes.
func (h *Handler) readLogin(w http.ResponseWriter, r *http.Request) (auth.Attempt, error) {
	if r.ContentLength > maxLoginBody {
		return auth.Attempt{}, &Problem{Status: http.StatusRequestEntityTooLarge, Key: keyPayloadTooLarge}
	}
	if err := checkODataVersion(r); err != nil {
		return auth.Attempt{}, err
	}
	if err := checkAccept(r, "application/json"); err != nil {
		return auth.Attempt{}, err
	}
	if _, err := ownQuery(r, false); err != nil {
		return auth.Attempt{}, err
	}
	if !jsonContent(r.Header) {
		return auth.Attempt{}, &Problem{Status: http.StatusUnsupportedMediaType, Key: keyHeaderInvalid, Args: []string{"Content-Type"}}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxLoginBody))
	if err != nil {
		return auth.Attempt{}, readProblem(err)
	}
	b, err := parseLogin(raw, faceOf(r).profile.flavour != nil)
	if err != nil {
		return auth.Attempt{}, err
	}
	if b.UserName == "" || b.Password == "" {
		// Nobody's wrong password: the authority is not asked, nothing counts.
		return auth.Attempt{}, refusedLogin(auth.ErrBadCredentials)
	}
	return auth.Attempt{
		Kind: auth.Password, Account: auth.AccountName(b.UserName), Password: auth.NewSecret(b.Password),
		Listener: h.cfg.Listener, Source: source(r), Token: newToken(), Context: b.Context,
		SessionID: h.newSessionID(r, auth.AccountName(b.UserName)), Passcode: auth.NewSecret(b.Token),
	}, nil
}

// readProblem answers a body that could not be read to its end.
func readProblem(err error) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return general(http.StatusBadRequest, "The request body could not be read.", err)
}

// parseLogin reads the body of a login POST. Members that it does not know are
// ignored; names count exactly as written. Values are never echoed: a number
// in the place of a password is a password. In HPE's
// profiles null stands for "" (observed: ilorest 3.6 logs in so when it is given a
// token in its place), and a Token is a string.
func parseLogin(raw []byte, hpe bool) (loginBody, error) {
	o, err := decodeObject(raw)
	if err != nil {
		return loginBody{}, bodyProblem(err)
	}
	if len(o.members) == 0 {
		return loginBody{}, &Problem{Status: http.StatusBadRequest, Key: keyEmptyJSON}
	}
	var b loginBody
	var wrong []Problem
	for _, f := range []struct {
		name     string
		value    *string
		required bool
	}{
		{"UserName", &b.UserName, true},
		{"Password", &b.Password, true},
		{"Context", &b.Context, false},
		{"Token", &b.Token, false},
	} {
		switch raw := string(o.get(f.name)); {
		case hpe && raw == "null":
			continue
		case !hpe && f.name == "Token" && raw != "" && raw[0] != '"':
			continue // a member that is not known
		}
		s, ok, err := o.stringMember(f.name)
		p := Problem{Status: http.StatusBadRequest, Related: []string{"#/" + f.name}}
		switch {
		case err != nil:
			p.Key, p.Args = keyPropertyValueTypeError, []string{"***", f.name}
			wrong = append(wrong, p)
		case !ok && f.required:
			p.Key, p.Args = keyPropertyMissing, []string{f.name}
			wrong = append(wrong, p)
		}
		*f.value = s
	}
	if len(b.Context) > maxContext {
		wrong = append(wrong, Problem{
			Status: http.StatusBadRequest, Key: keyPropertyValueError,
			Args: []string{"Context"}, Related: []string{"#/Context"}, Text: "The Context is too long.",
		})
	}
	if len(wrong) > 0 {
		first := wrong[0]
		first.More = wrong[1:]
		return loginBody{}, &first
	}
	return b, nil
}

// newSessionID draws the id of a session where the profile's have a form; ""
// leaves it to the authority.
func (h *Handler) newSessionID(r *http.Request, name auth.AccountName) string {
	f := faceOf(r).profile.flavour
	if f == nil || f.sessionID == nil {
		return ""
	}
	part := idName(string(name))
	for _, text := range f.misread {
		if strings.Contains(part, text) {
			part = unnamed
		}
	}
	return f.sessionID(part, h.cfg.Now().Unix())
}

const (
	unnamed   = "user"
	maxIDName = 64 // bytes of a name in an id
)

// idName is what of a name may stand in a path as it is.
func idName(name string) string {
	name = strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("-._~@", c):
			return c
		}
		return -1
	}, name)
	if name = name[:min(len(name), maxIDName)]; name == "" {
		return unnamed
	}
	return name
}
