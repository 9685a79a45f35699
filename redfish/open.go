package redfish

import (
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
)

// open answers GET, HEAD and OPTIONS of the URIs that everybody may read.
// Credentials in the request are not needed, and a stale token does no harm:
// they are looked at only where the answer is to show more than the resource.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, d decision) {
	if err := h.checkOpen(r, d.path); err != nil {
		h.fail(w, r, err)
		return
	}
	if r.Method == http.MethodOptions {
		options(w, "GET, HEAD")
		return
	}
	if h.queries && strings.Contains(r.URL.RawQuery, "expand") {
		r = h.recognise(r)
	}
	w.Header().Set("Allow", "GET, HEAD")
	h.cfg.Open.ServeHTTP(w, withoutCredentials(r))
}

// recognise adds the principal to a request that would do without one.
func (h *Handler) recognise(r *http.Request) *http.Request {
	on := h.connection(r)
	if !on.tls {
		return r
	}
	d := credentials(decision{}, r.Header.Values, on)
	if d.act == actRefuse {
		return r
	}
	p, err := h.authenticate(r, d)
	if err != nil {
		return r
	}
	return r.WithContext(auth.WithPrincipal(r.Context(), p))
}

func (h *Handler) checkOpen(r *http.Request, path string) error {
	if err := checkODataVersion(r); err != nil {
		return err
	}
	// observed: redfishtool and gofish ask for application/json everywhere,
	// also for the documents that have no JSON form.
	types := []string{"application/json"}
	switch path {
	case metadataURI:
		types = append(types, "application/xml")
	case openAPIURI:
		types = append(types, "application/yaml", "application/vnd.oai.openapi", "text/yaml")
	}
	if err := checkAccept(r, types...); err != nil {
		return err
	}
	if h.queries {
		return nil
	}
	_, err := ownQuery(r, false)
	return err
}

// serveOpen is what a service shows that has nothing but sessions.
func serveOpen(w http.ResponseWriter, r *http.Request) {
	path, err := Canonical(r.URL.EscapedPath())
	if err != nil {
		WriteError(w, r, err)
		return
	}
	switch path {
	case versionsURI:
		// The validator compares the whole object.
		writeJSON(w, r, http.StatusOK, map[string]string{"v1": rootURI})
	case rootURI:
		serve(w, r, minimalRoot())
	case odataURI:
		writeBody(w, r, http.StatusOK, "application/json", ODataDocument(nil))
	case metadataURI:
		writeBody(w, r, http.StatusOK, "application/xml", Metadata(nil))
	default:
		w.Header().Del("Allow")
		WriteError(w, r, missing(path, ""))
	}
}

// minimalRoot is the service root of a service that has nothing but sessions.
// It stands in for a device's own where that cannot be had.
func minimalRoot() ServiceRoot {
	return ServiceRoot{
		ODataID: rootURI, ODataType: serviceRootType, ID: "RootService", Name: "Root Service",
		RedfishVersion: redfishVersion, Product: "Postern",
		SessionService: Ref{sessionServiceURI}, Links: ServiceRootLinks{Sessions: Ref{sessionsURI}},
	}
}
