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

// own answers for the resources below the SessionService.
func (h *Handler) own(w http.ResponseWriter, r *http.Request, d decision, p auth.Principal) error {
	var allow string
	switch d.place {
	case placeSessionService:
		allow = "GET, HEAD"
	case placeSessions:
		allow = "GET, HEAD, POST"
	case placeMembers:
		allow = "POST"
	case placeSession:
		allow = "GET, HEAD, DELETE"
	}
	switch {
	case d.place == placeMembers && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return missing(d.path, "") // an alias for POST only
	case r.Method == http.MethodOptions:
		options(w, allow)
		return nil
	case !slices.Contains(strings.Split(allow, ", "), r.Method):
		return notAllowed(allow)
	}
	w.Header().Set("Allow", allow)
	if err := checkAccept(r, "application/json"); err != nil {
		return err
	}
	only, err := ownQuery(r, d.place == placeSessions)
	if err != nil {
		return err
	}
	switch d.place {
	case placeSessionService:
		h.sessionService(w, r)
	case placeSessions:
		return h.listSessions(w, r, p, only)
	case placeSession:
		return h.session(w, r, p, d.path[len(sessionsURI)+1:])
	}
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

func (h *Handler) sessionService(w http.ResponseWriter, r *http.Request) {
	serve(w, r, "SessionService.v1_2_0", SessionService{
		ODataID: sessionServiceURI, ODataType: sessionServiceType,
		ID: "SessionService", Name: "Session Service",
		ServiceEnabled: true, SessionTimeout: int64(h.rules().SessionIdle / time.Second),
		Sessions: Ref{sessionsURI}, Status: Status{State: "Enabled", Health: "OK"},
	})
}

// listSessions shows the sessions that the caller may read: its own, or all to
// an Administrator (DSP0266 allows to filter a list so).
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
	if !mayRead(p, s) {
		return auth.ErrForbidden
	}
	if r.Method != http.MethodDelete {
		serve(w, r, "Session.v1_8_0", resource(s))
		return nil
	}
	if m := strings.Join(r.Header.Values("If-Match"), ","); m != "" && !etagListed(m, etag(encode(resource(s))), true) {
		return &Problem{Status: http.StatusPreconditionFailed, Key: keyPreconditionFailed}
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
	return p.Role == auth.Administrator || p.AccountID == s.Principal.AccountID && p.Account == s.Principal.Account
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
	body := encode(resource(s))
	describedBy(head, "Session.v1_8_0")
	setHeader(head, "ETag", etag(body))
	writeBody(w, r, http.StatusCreated, "application/json", body)
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
