package redfish

import (
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
)

// chain is what the client of a TLS connection showed, its own certificate first.
func chain(r *http.Request) []*x509.Certificate {
	if r.TLS == nil {
		return nil
	}
	return r.TLS.PeerCertificates
}

// authenticate asks the authority who a request comes from.
func (h *Handler) authenticate(r *http.Request, d decision) (auth.Principal, error) {
	switch d.act {
	case actToken:
		return h.byToken(r, d.token)
	case actCertificate:
		if err := h.sameOrigin(r); err != nil {
			return auth.Principal{}, err
		}
		p, err := h.byCertificate(r)
		if errors.Is(err, auth.ErrBadCredentials) {
			// Shown like no credentials at all; what was wrong with it is for
			// the log.
			h.cfg.Log.LogAttrs(r.Context(), slog.LevelInfo, "client certificate refused", slog.Any("error", err))
			return auth.Principal{}, errNoCredentials
		}
		return p, err
	}
	if h.rules().Basic == BasicDisabled {
		return auth.Principal{}, errNoCredentials
	}
	if err := h.sameOrigin(r); err != nil {
		return auth.Principal{}, err
	}
	return h.cfg.Authority.Check(r.Context(), auth.Attempt{
		Kind: auth.Password, Account: d.account, Password: d.password,
		Listener: h.cfg.Listener, Source: source(r),
	})
}

// sameOrigin refuses what a foreign page made a browser send: browsers add
// passwords and certificates by themselves.
func (h *Handler) sameOrigin(r *http.Request) error {
	if err := h.cross.Check(r); err != nil {
		return general(http.StatusForbidden, "Requests from pages of another origin are refused.", err)
	}
	return nil
}

// byToken looks a session up. A token that comes over a connection with a good
// certificate of somebody else is nobody's: one of the two is not where it
// belongs. A certificate that is not good says nothing.
func (h *Handler) byToken(r *http.Request, token auth.Secret) (auth.Principal, error) {
	s, err := h.cfg.Authority.Lookup(h.cfg.Listener, token.Reveal())
	if err != nil {
		return auth.Principal{}, err
	}
	p := s.Principal
	p.SessionID = s.ID
	if !h.connection(r).certificate {
		return p, nil
	}
	other, err := h.byCertificate(r)
	switch {
	case errors.Is(err, auth.ErrBadCredentials):
		return p, nil
	case err != nil:
		return auth.Principal{}, err
	case !sameAccount(p, other):
		h.cfg.Log.LogAttrs(r.Context(), slog.LevelWarn, "a session's token came with the certificate of another account",
			slog.String("session", s.ID), slog.String("account", string(p.Account)), slog.String("certificate_account", string(other.Account)))
		return auth.Principal{}, errNoCredentials
	}
	return p, nil
}

func (h *Handler) byCertificate(r *http.Request) (auth.Principal, error) {
	return h.cfg.Authority.Check(r.Context(), auth.Attempt{
		Kind: auth.Certificate, Chain: chain(r), Listener: h.cfg.Listener, Source: source(r),
	})
}

func sameAccount(a, b auth.Principal) bool {
	return a.AccountID == b.AccountID && a.Account == b.Account
}

// maxGateBody bounds the body of a change of password, the one body that is
// read before it is passed on.
const maxGateBody = 16 << 10

// gate lets an account that must change its password do that, read itself and
// end its own sessions, and nothing else (DSP0266 1.20.0, 13.3.7.1). The
// request that it returns has the body that was judged.
func (h *Handler) gate(w http.ResponseWriter, r *http.Request, d decision, p auth.Principal) (*http.Request, error) {
	if !p.MustChangePassword {
		return r, nil
	}
	own := h.cfg.AccountURI(p)
	refused := mustChange(faceOf(r).uri(own))
	switch {
	case d.place == placeSession && r.Method == http.MethodDelete:
		s, err := h.cfg.Authority.Session(h.cfg.Listener, lastSegment(d.path))
		if err != nil || !sameAccount(p, s.Principal) {
			return r, refused
		}
		return r, nil
	case d.place != placeElsewhere || d.path != own:
		return r, refused
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return r, nil
	case r.Method != http.MethodPatch:
		return r, refused
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxGateBody))
	if err != nil {
		return r, readProblem(err)
	}
	if !changesPasswordAlone(raw) {
		return r, refused
	}
	out := new(http.Request)
	*out = *r
	out.Body, out.ContentLength, out.TransferEncoding = io.NopCloser(bytes.NewReader(raw)), int64(len(raw)), nil
	return out, nil
}

// changesPasswordAlone reports whether a body has Password as its one member,
// annotations aside.
func changesPasswordAlone(raw []byte) bool {
	o, err := decodeObject(raw)
	if err != nil || o.get("Password") == nil {
		return false
	}
	for _, m := range o.members {
		if m.name != "Password" && !strings.Contains(m.name, "@") {
			return false
		}
	}
	return true
}
