package redfish

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

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
