package redfish

import "net/http"

// open answers GET, HEAD and OPTIONS of the URIs that everybody may read.
// Credentials in the request are neither needed nor looked at, a stale token
// does no harm.
func (h *Handler) open(w http.ResponseWriter, r *http.Request, path string) {
	if err := h.checkOpen(r, path); err != nil {
		h.fail(w, r, err)
		return
	}
	if r.Method == http.MethodOptions {
		options(w, "GET, HEAD")
		return
	}
	w.Header().Set("Allow", "GET, HEAD")
	h.cfg.Open.ServeHTTP(w, withoutCredentials(r))
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
		serve(w, r, "ServiceRoot.v1_20_0", minimalRoot())
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
