package redfish

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/postern/postern/auth"
)

// parseBasic reads an Authorization header of the scheme Basic. The scheme's
// case does not matter, the text is UTF-8 and is split at the first colon
// (RFC 7617). Whatever is not exactly that gives false: another scheme, broken
// Base64, no colon, control characters, no user, no password.
func parseBasic(header string) (auth.AccountName, auth.Secret, bool) {
	scheme, rest, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Basic") || hasControl(header) {
		return "", auth.Secret{}, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(rest, " "))
	if err != nil || !utf8.Valid(raw) {
		return "", auth.Secret{}, false
	}
	user, password, ok := strings.Cut(string(raw), ":")
	if !ok || user == "" || password == "" || hasControl(user) || hasControl(password) {
		return "", auth.Secret{}, false
	}
	return auth.AccountName(user), auth.NewSecret(password), true
}

// hasControl reports whether s holds a control character of ASCII.
func hasControl(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] == 0x7F {
			return true
		}
	}
	return false
}

// basicHeader is the value that parseBasic reads.
func basicHeader(account auth.AccountName, password auth.Secret) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(string(account)+":"+password.Reveal()))
}
