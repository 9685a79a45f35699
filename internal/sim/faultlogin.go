package sim

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/postern/postern/redfish"
)

// awayHost is the host that devices with wrong names name. RFC 2606 keeps it
// from being anybody's.
const awayHost = "bmc.example"

// isLogin reports whether the answer is to a login that was good.
func (x *exchange) isLogin() bool { return x.note.event == eventLogin && x.status/100 == 2 }

func noSessionURI(x *exchange) {
	if !x.isLogin() {
		return
	}
	x.header.Del("Location")
	if json.Valid(x.body) {
		x.set("application/json", cutTop(cutTop(x.body, "@odata.id"), "Id"))
	}
}

// setLocation makes the device tell a session's URI in another form. Two of them
// are what the device knows its sessions by, too.
func setLocation(f *faults, form string) {
	switch form {
	case "slash": // observed: announced with a slash, and known without (python-redfish-library#57)
		f.inward = append(f.inward, withoutSlash)
	case "brackets": // observed: ids in brackets, percent-encoded (python-redfish-library PR 93)
		renameSessions(f, func(id string) string { return "%5B" + id + "%5D" })
	}
	after(func(x *exchange) {
		if path := x.header.Get("Location"); x.isLogin() && path != "" {
			x.header.Set("Location", locationAs(form, path))
		}
	})(f)
}

// locationAs writes a session's URI, absolute or not, in a form.
func locationAs(form, location string) string {
	scheme, rest, ok := strings.Cut(location, "://")
	host, path := "", location
	if ok {
		i := strings.IndexByte(rest, '/')
		host, path = rest[:i], rest[i:]
	}
	name, _, _ := strings.Cut(host, ":")
	switch form {
	case "host":
		return scheme + "://" + awayHost + path
	case "port":
		return scheme + "://" + name + ":1" + path
	case "ipv6":
		return scheme + "://[2001:db8::1]:443" + path
	case "http":
		return "http://" + host + path
	case "rootless":
		return strings.TrimPrefix(path, rootPath+"/")
	case "redfish":
		return path[1:]
	case "slash":
		return location + "/"
	case "fragment":
		return location + "#/Token"
	case "collection":
		return location[:strings.LastIndexByte(location, '/')]
	}
	return location
}

func loginStatus(status int) func(*exchange) {
	return func(x *exchange) {
		if !x.isLogin() {
			return
		}
		if x.status = status; status == http.StatusNoContent {
			x.set("", nil)
		}
	}
}

func loginNoBody(x *exchange) {
	if x.isLogin() {
		x.set("", nil)
	}
}

func noToken(inBody bool) func(*exchange) {
	return func(x *exchange) {
		if !x.isLogin() {
			return
		}
		token := x.header.Get("X-Auth-Token")
		x.header.Del("X-Auth-Token")
		if inBody && json.Valid(x.body) {
			x.set("application/json", putValue(x.body, token, "Token"))
		}
	}
}

func twoTokens(x *exchange) {
	if x.isLogin() {
		x.header["X-Auth-Token"] = append(x.header["X-Auth-Token"], "0f1e2d3c4b5a69788796a5b4c3d2e1f0")
	}
}

func loginRefused(status int) func(*exchange) bool {
	return func(x *exchange) bool {
		if x.kind != kindLogin {
			return false
		}
		p := &redfish.Problem{Status: status}
		switch status {
		case http.StatusUnauthorized:
			p.Key, p.Args = "ResourceAtUriUnauthorized", []string{x.path, "the credentials are not accepted"}
		case http.StatusNotFound:
			p.Key, p.Args = "ResourceMissingAtURI", []string{x.path}
		case http.StatusMethodNotAllowed:
			p.Key, p.Allow = "OperationNotAllowed", "GET, HEAD"
		case http.StatusTooManyRequests, http.StatusServiceUnavailable:
			p.Key, p.Args = "ServiceTemporarilyUnavailable", []string{"5"}
			x.header.Set("Retry-After", "5")
		}
		return x.refuse(p)
	}
}

// fullMessage says that there is no session to give as devices do. observed:
// idrac (gofish#75, check_redfish#89). ilo is what is documented of iLO's errors
// in general; limit is inferred from the Base registry. What Supermicro and
// Lenovo answer is not known.
func fullMessage(whose string) func(*exchange) {
	return func(x *exchange) {
		if !x.note.full {
			return
		}
		x.header.Del("Retry-After")
		info := func(code, id, text string) string {
			return `{"error":{"code":"` + code + `","message":"See ExtendedInfo for more information.","@Message.ExtendedInfo":[{"MessageId":"` + id + `"` + text + `}]}}`
		}
		switch whose {
		case "limit":
			x.status = http.StatusBadRequest
			x.set("application/json", []byte(info("Base.1.8.CreateLimitReachedForResource", "Base.1.8.CreateLimitReachedForResource",
				`,"Message":"The create operation failed because the resource has reached the limit of possible resources."`)))
		case "idrac":
			x.status = http.StatusServiceUnavailable
			x.set("application/json;odata.metadata=minimal;charset=utf-8", []byte(info("Base.1.5.GeneralError", "IDRAC.2.1.RAC0218",
				`,"Message":"The maximum number of user sessions is reached.","MessageArgs":[],"MessageArgs@odata.count":0,"Severity":"Informational"`)))
		case "ilo":
			x.status = http.StatusBadRequest
			x.set("application/json; charset=utf-8", []byte(info("iLO.0.10.ExtendedInfo", "Base.1.4.SessionLimitExceeded", "")))
		case "html":
			x.set("text/html", []byte(htmlPage(x.status)))
		case "none":
			x.set("", nil)
		}
	}
}

// loginStrict refuses what a login need not have. observed: iDRAC 9 for
// Authorization (community.general#5886), others for a token that has expired
// and for a member that they do not know.
func loginStrict(x *exchange) bool {
	if x.kind != kindLogin {
		return false
	}
	switch {
	case x.request.Header.Get("Authorization") != "":
		return x.refuse(&redfish.Problem{Status: http.StatusUnsupportedMediaType, Key: "HeaderInvalid", Args: []string{"Authorization"}})
	case x.request.Header.Get("X-Auth-Token") != "":
		return x.refuse(&redfish.Problem{Status: http.StatusUnauthorized, Key: "NoValidSession"})
	}
	body := x.readBody()
	if json.Valid(body) && lookup(body, "Context") != nil {
		return x.refuse(&redfish.Problem{
			Status: http.StatusBadRequest, Key: "PropertyUnknown", Args: []string{"Context"}, Related: []string{"#/Context"},
		})
	}
	return false
}

// readBody returns the request's body, of a login's size, which can be read again.
func (x *exchange) readBody() []byte {
	const enough = 64 << 10
	buf := new(bytes.Buffer)
	buf.ReadFrom(http.MaxBytesReader(x, x.request.Body, enough)) // what is cut will not be JSON
	x.request.Body = readCloser{bytes.NewReader(buf.Bytes()), x.request.Body}
	return buf.Bytes()
}

type readCloser struct {
	*bytes.Reader
	under interface{ Close() error }
}

func (r readCloser) Close() error { return r.under.Close() }

// loginRedirect: observed: older Supermicro (check_redfish PR 187).
func loginRedirect(status int) func(*exchange) bool {
	return func(x *exchange) bool {
		return x.kind == kindLogin && !strings.HasSuffix(x.asked, "/") && x.redirect(status, x.asked+"/")
	}
}

func loginRedirectAway(status int) func(*exchange) bool {
	return func(x *exchange) bool {
		return x.kind == kindLogin && x.redirect(status, "https://"+awayHost+x.asked+"/")
	}
}

func loginRedirectLoop(x *exchange) bool {
	if x.kind != kindLogin {
		return false
	}
	if to, ok := strings.CutSuffix(x.asked, "/"); ok {
		return x.redirect(http.StatusPermanentRedirect, to)
	}
	return x.redirect(http.StatusPermanentRedirect, x.asked+"/")
}
