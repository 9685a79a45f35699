package redfish

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// maxLoginBody bounds what somebody unknown may make us read. bmcweb takes
// 4096; long passwords and contexts fit here.
const maxLoginBody = 16 << 10

// maxContext bounds the text that a client leaves with its session.
const maxContext = 1024

// serveOwn answers for the SessionService and what is below it; who asks is in
// the request's context.
func (h *Handler) serveOwn(w http.ResponseWriter, r *http.Request) {
	path, err := Canonical(r.URL.EscapedPath())
	if err == nil {
		p, _ := auth.PrincipalFrom(r.Context())
		err = h.own(w, r, decision{path: path, place: locate(path)}, p)
	}
	if err != nil {
		h.fail(w, r, err)
	}
}

// allow lists the methods of a resource of ours, and names its type.
func (h *Handler) allow(pl place) (allow, entity string) {
	switch pl {
	case placeSessionService:
		if h.cfg.SetSessions != nil {
			return "GET, HEAD, PATCH", "SessionService"
		}
		return "GET, HEAD", "SessionService"
	case placeSessions:
		return "GET, HEAD, POST", "SessionCollection"
	case placeMembers:
		return "POST", "SessionCollection"
	case placeSession:
		return "GET, HEAD, DELETE", "Session"
	}
	return "", ""
}

// own answers for one of the resources.
func (h *Handler) own(w http.ResponseWriter, r *http.Request, d decision, p auth.Principal) error {
	allow, entity := h.allow(d.place)
	switch {
	case allow == "", d.place == placeMembers && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return missing(d.path, "") // Members is an alias for POST only
	case r.Method == http.MethodOptions:
		options(w, allow)
		return nil
	case !slices.Contains(strings.Split(allow, ", "), r.Method):
		return notAllowed(allow)
	case d.place != placeSession && !Privileged(entity, r.Method, p, false): // whose session, is for below
		return auth.ErrForbidden
	}
	w.Header().Set("Allow", allow)
	if err := checkAccept(r, "application/json"); err != nil {
		return err
	}
	only, err := ownQuery(r, d.place == placeSessions)
	if err != nil {
		return err
	}
	switch {
	case d.place == placeSessions:
		return h.listSessions(w, r, p, only)
	case d.place == placeSession:
		return h.session(w, r, p, d.path[len(sessionsURI)+1:])
	case r.Method == http.MethodPatch:
		return h.changeService(w, r)
	}
	serve(w, r, serviceResource(h.rules()))
	return nil
}

func options(w http.ResponseWriter, allow string) {
	commonHeaders(w.Header())
	w.Header().Set("Allow", allow)
	w.WriteHeader(http.StatusNoContent)
}

func checkAccept(r *http.Request, types ...string) error {
	if acceptable(r.Header.Values("Accept"), types...) {
		return nil
	}
	return &Problem{Status: http.StatusNotAcceptable, Key: keyHeaderInvalid, Args: []string{"Accept"}}
}

// listSessions shows the sessions that the caller may read: its own, or all
// with ConfigureManager (DSP0266 allows to filter a list so).
func (h *Handler) listSessions(w http.ResponseWriter, r *http.Request, p auth.Principal, only bool) error {
	seen := slices.DeleteFunc(h.cfg.Authority.Sessions(h.cfg.Listener), func(s auth.Session) bool { return !mayRead(p, s) })
	slices.SortFunc(seen, func(a, b auth.Session) int {
		return cmp.Or(a.Created.Compare(b.Created), strings.Compare(a.ID, b.ID))
	})
	if only && len(seen) == 1 {
		h.showSession(w, r, seen[0])
		return nil
	}
	members := make([]Ref, 0, len(seen))
	for _, s := range seen {
		members = append(members, Ref{sessionsURI + "/" + s.ID})
	}
	serve(w, r, collectionOf(faceOf(r).profile, members, p))
	return nil
}

// collectionOf is the wire form of the list of sessions.
func collectionOf(profile Profile, members []Ref, p auth.Principal) any {
	if f := profile.flavour; f != nil && f.collection != nil {
		v := collectionView{members: members}
		if p.SessionID != "" {
			v.mine = sessionsURI + "/" + p.SessionID
		}
		return f.collection(v)
	}
	return SessionCollection{
		ODataID: sessionsURI, ODataType: sessionCollectionType, Name: "Session Collection",
		Count: len(members), Members: members,
	}
}

// showSession answers with a session as the caller sees it.
func (h *Handler) showSession(w http.ResponseWriter, r *http.Request, s auth.Session) {
	body, tag := h.sessionBody(r, s)
	serveBody(w, r, body, tag)
}

// sessionBody is the wire form of a session in the profile, and the tag of it.
func (h *Handler) sessionBody(r *http.Request, s auth.Session) (body []byte, tag string) {
	f := faceOf(r).profile.flavour
	if f == nil || f.session == nil {
		body = encode(resource(s))
		return body, etag(body)
	}
	p, _ := auth.PrincipalFrom(r.Context())
	v := sessionView{Session: s, mine: p.SessionID == s.ID, privileges: h.privileges(s.Principal)}
	if v.Idle <= 0 {
		v.Idle = h.rules().SessionIdle
	}
	wire, tag := f.session(v)
	return encode(wire), tag
}

func (h *Handler) privileges(p auth.Principal) HPEPrivileges {
	if h.cfg.HPEPrivileges != nil {
		return h.cfg.HPEPrivileges(p)
	}
	return HPEPrivilegesOf(privileges(p))
}

// session reads or ends one session.
func (h *Handler) session(w http.ResponseWriter, r *http.Request, p auth.Principal, id string) error {
	s, err := h.cfg.Authority.Session(h.cfg.Listener, id)
	if err != nil {
		return sessionError(err, id)
	}
	// Whoever holds a token may give it back, with whatever privileges.
	back := r.Method == http.MethodDelete && p.SessionID == id
	if !back && !Privileged("Session", r.Method, p, sameAccount(p, s.Principal)) {
		return auth.ErrForbidden
	}
	if r.Method != http.MethodDelete {
		h.showSession(w, r, s)
		return nil
	}
	_, tag := h.sessionBody(r, s)
	if err := CheckMatch(r, tag); err != nil {
		return err
	}
	if h.rules().SessionsDisabled {
		return auth.ErrServiceDisabled // SessionService.v1_2_0, ServiceEnabled: nor are sessions deleted
	}
	if err := h.cfg.Authority.Logout(r.Context(), p, id); err != nil {
		return sessionError(err, id)
	}
	w.Header().Del("Allow")
	if f := faceOf(r).profile.flavour; f != nil && f.ended != "" {
		WriteMessage(w, r, http.StatusOK, f.ended)
		return nil
	}
	WriteNoContent(w)
	return nil
}

// sessionError tells a missing session, which is a missing resource here and
// not a missing login.
func sessionError(err error, id string) error {
	if errors.Is(err, auth.ErrNoSession) {
		return &Problem{Status: http.StatusNotFound, Key: keyResourceMissingAtURI, Args: []string{sessionsURI + "/" + id}, Err: err}
	}
	return err
}

func mayRead(p auth.Principal, s auth.Session) bool {
	return Privileged("Session", http.MethodGet, p, sameAccount(p, s.Principal))
}

// resource is the wire form of a session.
func resource(s auth.Session) Session {
	out := Session{
		ODataID: sessionsURI + "/" + s.ID, ODataType: sessionType, ID: s.ID, Name: "User Session",
		UserName: string(s.Principal.Account), SessionType: "Redfish", Context: s.Context,
		CreatedTime: s.Created.UTC().Format(time.RFC3339),
	}
	if s.Source.IsValid() {
		out.ClientOriginIPAddress = s.Source.Unmap().WithZone("").String()
	}
	if !s.Expires.IsZero() {
		out.ExpirationTime = s.Expires.UTC().Format(time.RFC3339)
	}
	if s.Principal.Role != "" {
		out.Roles = []string{string(s.Principal.Role)}
	}
	return out
}

// serve answers GET and HEAD with a resource of ours.
func serve(w http.ResponseWriter, r *http.Request, v any) {
	body := encode(v)
	serveBody(w, r, body, etag(body))
}

// etag is a strong tag: weak ones never match in If-Match.
func etag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + hex.EncodeToString(sum[:8]) + `"`
}

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
