package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/postern/postern/redfish"
)

// everyNth counts for one device, and is true every nth time.
func everyNth(n int) func() bool {
	var count atomic.Int64
	return func() bool { return count.Add(1)%int64(n) == 0 }
}

func needed(value string) error {
	if value == "" {
		return errors.New("it takes a value")
	}
	return nil
}

func restart(n int) func(*exchange) bool {
	now := everyNth(n)
	return func(x *exchange) bool {
		if x.kind == kindOther && now() {
			x.device.DropSessions()
		}
		return false
	}
}

func sessionTimeout(value string) func(*exchange) {
	var shown any = value
	if n, err := strconv.ParseFloat(value, 64); err == nil && json.Valid([]byte(value)) {
		shown = n
	}
	return func(x *exchange) {
		if x.path == servicePath && x.status == http.StatusOK && json.Valid(x.body) {
			x.set("application/json", putValue(x.body, shown, "SessionTimeout"))
		}
	}
}

// expired403: observed: devices that say 403 for a session that has expired.
func expired403(x *exchange) {
	if x.status == http.StatusUnauthorized && x.request.Header.Get("X-Auth-Token") != "" {
		x.status = http.StatusForbidden
		x.header.Del("WWW-Authenticate")
	}
}

func forbidden401(x *exchange) {
	if x.status == http.StatusForbidden {
		x.status = http.StatusUnauthorized
	}
}

// withoutSlash: a session's URI with a slash behind is nobody's.
func withoutSlash(uri string) string {
	if strings.HasPrefix(uri, sessionsPath+"/") && strings.HasSuffix(uri, "/") {
		return sessionsPath + "/none"
	}
	return uri
}

var sessionURI = regexp.MustCompile(regexp.QuoteMeta(sessionsPath) + `/([0-9A-Za-z]+)`)

// renameSessions makes as of a session's id what stands in its URI, and the only
// thing that the device takes there.
func renameSessions(f *faults, as func(id string) string) {
	frame := strings.Split(as("\x00"), "\x00")
	f.inward = append(f.inward, func(uri string) string {
		id, ok := strings.CutPrefix(uri, sessionsPath+"/")
		if !ok {
			return uri
		}
		id, begins := strings.CutPrefix(id, frame[0])
		id, ends := strings.CutSuffix(id, frame[1])
		if !begins || !ends {
			return sessionsPath + "/none"
		}
		return sessionsPath + "/" + id
	})
	after(func(x *exchange) {
		rename := func(text string) string {
			return sessionURI.ReplaceAllStringFunc(text, func(uri string) string {
				return sessionsPath + "/" + as(uri[len(sessionsPath)+1:])
			})
		}
		if l := x.header.Get("Location"); l != "" {
			x.header.Set("Location", rename(l))
		}
		if bytes.Contains(x.body, []byte(sessionsPath)) {
			x.set(x.header.Get("Content-Type"), []byte(rename(string(x.body))))
		}
	})(f)
}

// What a hostile device calls its sessions and users. The texts clear a screen,
// name a window and begin a line of their own.
const (
	hostileID   = "\x1b[2J\x1b]0;owned\x07%0a%1b[31m"
	hostileUser = "root\x1b[1A\nadmin\u202e\u009b31m"
)

// hostileNames puts them where texts stand, and a percent-encoded one into the URIs.
func hostileNames(f *faults) {
	renameSessions(f, func(id string) string { return id + "%1B%5B2J%0A" })
	after(func(x *exchange) {
		if !x.aboutSession() {
			return
		}
		body := putValue(x.body, hostileID+unquote(lookup(x.body, "Id")), "Id")
		for _, name := range []string{"UserName", "ClientOriginIPAddress", "Context"} {
			body = putValue(body, hostileUser, name)
		}
		x.set("application/json", body)
	})(f)
}

// aboutSession reports whether the body is a session.
func (x *exchange) aboutSession() bool {
	return x.status/100 == 2 && json.Valid(x.body) && (x.note.event == eventLogin || within(x.path, sessionsPath)) &&
		lookup(x.body, "Id") != nil && lookup(x.body, "UserName") != nil
}

func wrongTypes(x *exchange) {
	if x.status/100 != 2 || !json.Valid(x.body) {
		return
	}
	put := func(v any, name string) { x.set("application/json", putValue(x.body, v, name)) }
	switch {
	case x.aboutSession():
		put(4711, "Id")
		put([]any{nil, 1}, "UserName")
		put(map[string]any{"@odata.id": true}, "@odata.id")
		put(-1, "CreatedTime")
	case x.path == sessionsPath:
		put("none", "Members")
	case x.path == servicePath:
		put("soon", "SessionTimeout")
	}
}

// oldSessionsPath: observed: iDRAC 7 and 8 (idrac_exporter#132).
const oldSessionsPath = rootPath + "/Sessions"

func oldSessions(f *faults) {
	f.inward = append(f.inward, func(uri string) string {
		if uri == oldSessionsPath || within(uri, oldSessionsPath) {
			return sessionsPath + uri[len(oldSessionsPath):]
		}
		return uri
	})
	before(func(x *exchange) bool {
		return (x.asked == sessionsPath || within(x.asked, sessionsPath)) &&
			x.refuse(&redfish.Problem{Status: http.StatusMethodNotAllowed, Key: "OperationNotAllowed", Allow: "GET"})
	})(f)
	after(func(x *exchange) {
		if l := x.header.Get("Location"); l != "" {
			x.header.Set("Location", strings.Replace(l, sessionsPath, oldSessionsPath, 1))
		}
		if bytes.Contains(x.body, []byte(sessionsPath)) {
			x.set(x.header.Get("Content-Type"), bytes.ReplaceAll(x.body, []byte(sessionsPath), []byte(oldSessionsPath)))
		}
	})(f)
}

func logoutStatus(status int) func(*exchange) {
	return func(x *exchange) {
		if x.note.event == eventLogout {
			x.set("", nil)
			x.refuse(&redfish.Problem{Status: status})
			x.status = status
		}
	}
}

// logoutStrict: observed: Huawei and Cisco (Redfish-Mockup-Creator#68,
// python-redfish-library#111) for requests with more than they need.
func logoutStrict(x *exchange) bool {
	return x.kind == kindLogout && (x.request.Header.Get("Content-Type") != "" || x.request.ContentLength != 0) &&
		x.refuse(&redfish.Problem{Status: http.StatusBadRequest, Key: "UnrecognizedRequestBody"})
}

// logoutHangs waits until the client has gone. observed: bmclib#94.
func logoutHangs(x *exchange, _ http.ResponseWriter) bool {
	if x.note.event != eventLogout {
		return false
	}
	x.pause(maxLatency)
	panic(http.ErrAbortHandler)
}
