package sim

import (
	"math"
	"net/http"
	"time"
)

// faultTable is every fault there is; a new one needs a line here and the place
// that obeys it. What was seen where is in docs/simulator.md.
var faultTable = []struct {
	Fault
	set setter
}{
	// The answer to a login.
	{Fault{"no-location", "", "a login answer has no Location header"},
		flag(func(f *faults) { f.noLocation = true })},
	{Fault{"no-session-uri", "", "a login answer says nowhere what the session's URI or id is"},
		flag(after(noSessionURI))},
	{Fault{"location", "FORM", "Location as host, port, ipv6, http, rootless, redfish, slash, brackets, fragment or collection"},
		word(setLocation, "", "host", "port", "ipv6", "http", "rootless", "redfish", "slash", "brackets", "fragment", "collection")},
	{Fault{"login-status", "200|202|204", "a login that is good is answered with this status, 204 without a body"},
		oneOf(func(f *faults, n int) { after(loginStatus(n))(f) }, 0, 200, 202, 204)},
	{Fault{"login-no-body", "", "a login answer has headers alone"},
		flag(after(loginNoBody))},
	{Fault{"no-token", "[body]", "a login makes its session and tells no X-Auth-Token; body: tells it in the body alone"},
		func(f *faults, value string) error {
			if value == "" {
				value = "none"
			}
			return word(func(f *faults, v string) { after(noToken(v == "body"))(f) }, "", "none", "body")(f, value)
		}},
	{Fault{"two-tokens", "", "a login answer has two X-Auth-Token headers"},
		flag(after(twoTokens))},
	{Fault{"login-html-error", "", "every login is answered 500 with an HTML page"},
		flag(func(f *faults) { f.loginHTML = true })},
	{Fault{"drop-login-answer", "N", "every Nth login makes its session, then the connection is closed instead of an answer"},
		every(func(f *faults, n int) { f.dropLoginEvery = n })},

	// Logins that are refused or sent elsewhere.
	{Fault{"login-refused", "[STATUS]", "every login gets STATUS (405), whatever the password; HTTP Basic works"},
		status(func(f *faults, n int) { before(loginRefused(n))(f) }, http.StatusMethodNotAllowed)},
	{Fault{"login-full-status", "503|400|403", "how the device says that it has no session to give"},
		oneOf(func(f *faults, n int) { f.fullStatus = n }, 0, 503, 400, 403)},
	{Fault{"login-full-message", "WHOSE", "in whose words it says so: dmtf, limit, idrac, ilo, html or none"},
		word(func(f *faults, v string) { after(fullMessage(v))(f) }, "", "dmtf", "limit", "idrac", "ilo", "html", "none")},
	{Fault{"evicts", "", "a login that finds no free session ends the oldest one, whoever's it is"},
		flag(func(f *faults) { f.evicts = true })},
	{Fault{"login-strict", "", "a login with Authorization gets 415, with X-Auth-Token 401, with a Context 400"},
		flag(before(loginStrict))},
	{Fault{"login-redirect", "[STATUS]", "a login is redirected (301, 302, 307 or 308) to the same URI with a slash, where it works"},
		oneOf(func(f *faults, n int) { before(loginRedirect(n))(f) }, 308, 301, 302, 307, 308)},
	{Fault{"login-redirect-away", "[STATUS]", "a login is redirected (301, 302, 307 or 308) to the same URI at another host"},
		oneOf(func(f *faults, n int) { before(loginRedirectAway(n))(f) }, 308, 301, 302, 307, 308)},
	{Fault{"login-redirect-loop", "", "a login is redirected to the same URI with a slash, and from there back"},
		flag(before(loginRedirectLoop))},

	// What becomes of sessions.
	{Fault{"early-expiry", "DURATION", "a session ends DURATION after its login, used or not, whatever SessionTimeout says"},
		wait(math.MaxInt64, func(f *faults, d time.Duration) { f.earlyExpiry = d })},
	{Fault{"restart", "N", "before every Nth call all sessions end, as when the device is restarted"},
		every(func(f *faults, n int) { before(restart(n))(f) })},
	{Fault{"session-timeout", "SECONDS", "the device shows this SessionTimeout, a number or not, and keeps to its own"},
		func(f *faults, value string) error { after(sessionTimeout(value))(f); return needed(value) }},
	{Fault{"stray-401", "N", "every Nth call with a living session's token is answered 401"},
		every(func(f *faults, n int) { f.stray = n })},
	{Fault{"expired-403", "", "a token that is no longer known gets 403 in the place of 401"},
		flag(after(expired403))},
	{Fault{"forbidden-401", "", "a call that is not allowed gets 401 in the place of 403"},
		flag(after(forbidden401))},
	{Fault{"id-reuse", "", "a new session gets the lowest free number as its id, so ids come back"},
		flag(func(f *faults) { f.idReuse = true })},
	{Fault{"no-sessions", "", "the device knows HTTP Basic only: no session service, no link to one"},
		flag(func(f *faults) { f.noSessions = true })},
	{Fault{"old-sessions", "", "sessions are at /redfish/v1/Sessions, and 405 where they should be"},
		flag(oldSessions)},
	{Fault{"hostile-names", "", "session ids and users hold terminal escapes, newlines and percent forms"},
		flag(hostileNames)},
	{Fault{"wrong-types", "", "what tells of sessions has numbers for texts and texts for numbers"},
		flag(after(wrongTypes))},

	// Logouts.
	{Fault{"logout-refused", "[STATUS]", "no session can be ended: a DELETE gets STATUS (503), the session lives on"},
		status(func(f *faults, n int) { f.logoutRefused = n }, http.StatusServiceUnavailable)},
	{Fault{"logout-status", "[STATUS]", "a logout ends the session, and gets STATUS (401) all the same"},
		status(func(f *faults, n int) { after(logoutStatus(n))(f) }, http.StatusUnauthorized)},
	{Fault{"logout-strict", "", "a logout with a body or a Content-Type gets 400"},
		flag(before(logoutStrict))},
	{Fault{"logout-hangs", "", "a logout ends the session, and no answer comes"},
		flag(deliver(logoutHangs))},
	{Fault{"drop-logout-answer", "N", "every Nth logout ends its session, then the connection is closed instead of an answer"},
		every(func(f *faults, n int) { f.dropLogoutEvery = n })},

	// The service root.
	{Fault{"root-wants-login", "", "the service root is answered 401 without a login"},
		flag(before(rootWantsLogin))},
	{Fault{"root-broken", "", "the service root has unescaped quotes in @odata.etag, so it is no JSON"},
		flag(after(rootBroken))},

	// Answers of every kind.
	{Fault{"error-body", "html|none|cut", "what an error says: an HTML page, nothing, or a chunked page that breaks off"},
		word(setErrorBody, "", "html", "none", "cut")},
	{Fault{"hostile-errors", "", "what an error says holds terminal escapes and newlines"},
		flag(after(hostileErrors))},
	{Fault{"hostile-headers", "", "the Location of a login and the header lines of a call hold terminal escapes"},
		flag(deliver(hostileHeaders))},
	{Fault{"absurd-headers", "", "every answer has a hundred header lines more, cookies, dates and waits that cannot be"},
		flag(after(absurdHeaders))},
	{Fault{"endless-headers", "", "the header of an answer to a call has no end"},
		flag(deliver(endlessHeaders))},
	{Fault{"slow-body", "DURATION", "the body of an answer comes in four parts, DURATION before each"},
		wait(maxLatency, func(f *faults, d time.Duration) { deliver(slowBody(d))(f) })},
	{Fault{"endless-body", "", "the body of an answer has no end"},
		flag(deliver(endlessBody))},
	{Fault{"reset-answer", "N", "every Nth answer to a call is reset in its middle"},
		every(func(f *faults, n int) { deliver(resetAnswer(n))(f) })},
	{Fault{"stale-keep-alive", "", "every answer promises to keep the connection, which is closed right after it"},
		flag(deliver(staleKeepAlive))},
	{Fault{"redirect-loop", "", "every call is redirected to where it was sent to"},
		flag(before(redirectLoop))},
	{Fault{"redirect-away", "", "every call is redirected to the same URI at another host"},
		flag(before(redirectAway))},
	{Fault{"if-match-required", "", "a PATCH without If-Match gets 428"},
		flag(before(ifMatchRequired))},
	{Fault{"bad-licence", "", "an iLO takes no licence key, whatever its form"},
		flag(func(f *faults) { f.badLicence = true })},
	{Fault{"time-by-dhcp", "", "an iLO has its time servers from DHCP, so they cannot be set"},
		flag(func(f *faults) { f.timeByDHCP = true })},
	{Fault{"certificate-changes", "N", "after N answers connections are closed, and new ones get another, self-signed certificate"},
		every(setNewCertificate)},
}
