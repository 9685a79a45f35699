package redfish

import (
	"errors"
	"log/slog"
	"net/http"

	"github.com/postern/postern/auth"
)

// special answers what only some profiles have, and reports whether it did.
func (h *Handler) special(w http.ResponseWriter, r *http.Request) bool {
	f := faceOf(r)
	if f.profile.flavour == nil {
		return false
	}
	if f.moved != "" {
		h.redirect(w, r, f.moved)
		return true
	}
	if page := f.profile.flavour.certificatePage; page == "" || r.URL.EscapedPath() != page {
		return false
	}
	if err := h.certificateLogin(w, r); err != nil {
		h.fail(w, r, err)
	}
	return true
}

// redirect sends a reader of an old path on.
func (h *Handler) redirect(w http.ResponseWriter, r *http.Request, to string) {
	to = faceOf(r).absolute(r, to)
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	head := w.Header()
	head.Set("Location", to)
	commonHeaders(head)
	w.WriteHeader(http.StatusPermanentRedirect)
}

// loggedIn is the page of a login by certificate: clients read its headers.
const loggedIn = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Logged in</title></head><body><p>Logged in.</p></body></html>\n"

// certificateLogin answers for the page that logs in whoever showed a client
// certificate in the handshake (redfish-hpe, 4). It never answers 200 to a
// refusal: clients take that for a login.
func (h *Handler) certificateLogin(w http.ResponseWriter, r *http.Request) error {
	switch {
	case !h.connection(r).tls:
		return errPlain
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		return notAllowed("GET, HEAD")
	}
	if err := h.sameOrigin(r); err != nil {
		return err
	}
	w.Header().Set("Allow", "GET, HEAD")
	if r.Method == http.MethodHead { // makes no session
		if _, err := h.byCertificate(r); err != nil {
			return h.refusedCertificate(r, err)
		}
		writeBody(w, r, http.StatusOK, "text/html; charset=utf-8", []byte(loggedIn))
		return nil
	}
	a := auth.Attempt{
		Kind: auth.Certificate, Chain: chain(r), Listener: h.cfg.Listener, Source: source(r),
		Token: newToken(), NewSessionID: func(name auth.AccountName) string { return h.newSessionID(r, name) },
	}
	s, err := h.cfg.Authority.Login(r.Context(), a)
	if err != nil {
		return h.refusedCertificate(r, err)
	}
	if s.Principal.MustChangePassword {
		if err := h.cfg.Authority.Logout(r.Context(), s.Principal, s.ID); err != nil {
			return err
		}
		return refusedLogin(auth.ErrBadCredentials)
	}
	head := w.Header()
	head.Set("X-Auth-Token", a.Token.Reveal())
	head.Set("Location", faceOf(r).absolute(r, sessionsURI+"/"+s.ID+"/"))
	writeBody(w, r, http.StatusOK, "text/html; charset=utf-8", []byte(loggedIn))
	return nil
}

// refusedCertificate is the answer to a certificate that gave no login. What was
// wrong with it is for log and audit alone, but for what is no fault of its owner.
func (h *Handler) refusedCertificate(r *http.Request, err error) error {
	if errors.Is(err, auth.ErrBadCredentials) {
		h.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "client certificate refused", slog.Any("error", err))
	}
	switch {
	case errors.Is(err, auth.ErrNotLicensed):
		return &Problem{Status: http.StatusForbidden, Key: keyLicenseKeyRequired, Err: err}
	case errors.Is(err, auth.ErrMethodOff):
		return &Problem{Status: http.StatusForbidden, Key: keyInsufficientPrivilege, Err: err}
	case errors.Is(err, auth.ErrBadCredentials):
		return &Problem{Status: http.StatusUnauthorized, Key: keyUnauthorizedLogin, Err: err}
	}
	return err
}
