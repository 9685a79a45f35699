package redfish

import (
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
	serve(w, r, "SessionService.v1_2_0", serviceResource(h.rules()))
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
		serve(w, r, "Session.v1_8_0", resource(seen[0]))
		return nil
	}
	members := make([]Ref, 0, len(seen))
	for _, s := range seen {
		members = append(members, Ref{sessionsURI + "/" + s.ID})
	}
	serve(w, r, "SessionCollection", SessionCollection{
		ODataID: sessionsURI, ODataType: sessionCollectionType, Name: "Session Collection",
		Count: len(members), Members: members,
	})
	return nil
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
		serve(w, r, "Session.v1_8_0", resource(s))
		return nil
	}
	if err := CheckMatch(r, etag(encode(resource(s)))); err != nil {
		return err
	}
	if h.rules().SessionsDisabled {
		return auth.ErrServiceDisabled // SessionService.v1_2_0, ServiceEnabled: nor are sessions deleted
	}
	if err := h.cfg.Authority.Logout(r.Context(), p, id); err != nil {
		return sessionError(err, id)
	}
	commonHeaders(w.Header())
	w.Header().Del("Allow")
	w.WriteHeader(http.StatusNoContent)
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
func serve(w http.ResponseWriter, r *http.Request, schema string, v any) {
	body := encode(v)
	tag := etag(body)
	h := w.Header()
	describedBy(h, schema)
	setHeader(h, "ETag", tag)
	if m := strings.Join(r.Header.Values("If-None-Match"), ","); m != "" && etagListed(m, tag, false) {
		commonHeaders(h)
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeBody(w, r, http.StatusOK, "application/json", body)
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
	head := w.Header()
	head.Set("X-Auth-Token", a.Token.Reveal())
	head.Set("Location", h.location(r, s.ID))
	made := resource(s)
	tag := etag(encode(made))
	if s.Principal.MustChangePassword { // DSP0266 1.20.0, 13.3.7.1
		made.ExtendedInfo = []Message{PasswordChangeRequired(s.Principal.Account).message()}
	}
	WriteResource(w, r, http.StatusCreated, encode(made), tag)
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
	b, err := parseLogin(raw)
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
// in the place of a password is a password.
func parseLogin(raw []byte) (loginBody, error) {
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
	} {
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

// location is the new session's URI: absolute, from the Host that the client
// typed, because the curl recipe sorts the token before "https".
func (h *Handler) location(r *http.Request, id string) string {
	path := sessionsURI + "/" + id
	if h.cfg.Profile.RelativeLocation || r.Host == "" {
		return path
	}
	return "https://" + r.Host + path
}
