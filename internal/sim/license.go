package sim

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/postern/postern/redfish"
)

const (
	licenseServicePath = rootPath + "/LicenseService"
	licensesPath       = licenseServicePath + "/Licenses"
)

// Bounds of what is installed on one device, and of one license.
const (
	maxLicenses = 16
	maxLicense  = 64 << 10
)

// licenses are those that were installed on a device, beside the built-in one.
// What is in them is looked at no more than a real one would be believed.
type licenses struct {
	device *Device
	mu     sync.Mutex // guards the two, taken before the store's
	last   int        // ids are never used again
	uris   []string   // of what can be removed
}

// endpoint is what is at a path of the license service beside its resource.
func (l *licenses) endpoint(at string) endpoint {
	d := l.device
	switch at {
	case licensesPath:
		return endpoint{http.MethodGet: d.read, http.MethodHead: d.read, http.MethodPost: l.post}
	case licensesPath + "/Members":
		return endpoint{http.MethodPost: l.post}
	case licenseServicePath + "/Actions/LicenseService.Install":
		return endpoint{http.MethodPost: l.install}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.uris, at) {
		return nil
	}
	return endpoint{http.MethodGet: d.read, http.MethodHead: d.read, http.MethodDelete: l.remove}
}

// post installs a license that is in the body, as base64.
func (l *licenses) post(w http.ResponseWriter, r *http.Request, _ string) error {
	b, err := redfish.ReadObject(w, r, maxBody)
	if err != nil {
		return err
	}
	if s := b.Secret("LicenseString"); s != nil {
		raw, err := base64.StdEncoding.DecodeString(s.Reveal())
		if err != nil || len(raw) == 0 || len(raw) > maxLicense {
			b.Fail("PropertyValueError", "LicenseString", "LicenseString")
		}
	}
	b.Require("LicenseString")
	if err := b.Err(); err != nil {
		return err
	}
	uri, err := l.add("License")
	if err != nil {
		return err
	}
	return l.device.created(w, r, uri)
}

// install installs a license that is elsewhere, and is not fetched.
func (l *licenses) install(w http.ResponseWriter, r *http.Request, _ string) error {
	const name = "LicenseService.Install"
	b, err := redfish.ReadAction(w, r, maxBody, name)
	if err != nil {
		return err
	}
	b.OneOf("TransferProtocol", "HTTP", "HTTPS", "NFS", "TFTP")
	b.Secret("Username")
	b.Secret("Password")
	b.Require("LicenseFileURI")
	file := ""
	if uri := b.String("LicenseFileURI"); uri != nil {
		from, err := url.Parse(*uri)
		if err != nil || from.User != nil || len(*uri) > maxText {
			b.Fail("ActionParameterValueError", "LicenseFileURI", "LicenseFileURI", name)
		} else {
			file = path.Base(from.Path)
		}
	}
	if err := b.Err(); err != nil {
		return err
	}
	if _, err := l.add("License from " + file); err != nil {
		return err
	}
	return l.device.done(w)
}

// add makes the resource of a new license and returns its URI.
func (l *licenses) add(description string) (string, error) {
	uri, err := l.put(description)
	if err == nil {
		l.device.recordFor(uri, "LicenseInstalled", "A license was installed.")
	}
	return uri, err
}

func (l *licenses) put(description string) (string, error) {
	d := l.device
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.uris) >= maxLicenses {
		return "", badRequest("CreateLimitReachedForResource")
	}
	l.last++
	id := "Installed" + strconv.Itoa(l.last)
	uri := licensesPath + "/" + id
	l.uris = append(l.uris, uri)
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	d.store.set(uri, mustJSON(map[string]any{
		"@odata.id": uri, "@odata.type": "#License.v1_1_4.License", "Id": id, "Name": "License " + id,
		"Description": description, "EntitlementId": "PSIM-" + id, "LicenseType": "Production", "LicenseOrigin": "Installed",
		"LicenseString": nil, "Removable": true, "AuthorizationScope": "Service", "Manufacturer": "Postern",
		"InstallDate": d.dateTime(), "Status": redfish.Status{State: "Enabled", Health: "OK"},
	}))
	d.store.setMembers(licensesPath, append(d.store.members(licensesPath), uri))
	return uri, nil
}

// remove deletes a license that was installed.
func (l *licenses) remove(w http.ResponseWriter, r *http.Request, at string) error {
	if err := l.drop(r, at); err != nil {
		return err
	}
	l.device.recordFor(licensesPath, "LicenseRemoved", "License "+strings.TrimPrefix(at, licensesPath+"/")+" was removed.")
	return l.device.done(w)
}

func (l *licenses) drop(r *http.Request, at string) error {
	s := l.device.store
	l.mu.Lock()
	defer l.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.at(at)
	if f == nil {
		return missing(at)
	}
	if err := redfish.CheckMatch(r, f.etag); err != nil {
		return err
	}
	same := func(uri string) bool { return uri == at }
	l.uris = slices.DeleteFunc(l.uris, same)
	s.setMembers(licensesPath, slices.DeleteFunc(s.members(licensesPath), same))
	s.unset(at)
	return nil
}
