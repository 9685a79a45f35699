package wiretest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func TestHunterFinds(t *testing.T) {
	t.Parallel()
	const secret = "Pw-SECRET/sécret&\"1\x02"
	var h Hunter
	if err := h.Plant("password", secret); err != nil {
		t.Fatal(err)
	}
	quoted, err := json.Marshal(map[string]string{"Password": secret})
	if err != nil {
		t.Fatal(err)
	}
	var others strings.Builder
	e := json.NewEncoder(&others)
	e.SetEscapeHTML(false)
	if err := e.Encode(secret); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"plain":         "level=DEBUG password=" + secret,
		"header":        "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+secret)),
		"header1":       "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin1:"+secret)),
		"header2":       "Authorization: Basic " + base64.RawURLEncoding.EncodeToString([]byte("admin22:"+secret+"and more")),
		"query":         "/x?" + url.Values{"p": {secret}}.Encode(),
		"path":          "/" + url.PathEscape(secret) + "/",
		"small escapes": "/Pw-SECRET%2fs%c3%a9cret&%221%02",
		"json":          string(quoted),
		"other json":    others.String(),
		"go":            strconv.Quote(secret),
		"hex":           hex.EncodeToString([]byte(secret)),
		"HEX":           strings.ToUpper(hex.EncodeToString([]byte("x" + secret))),
		"bytes":         fmt.Sprintf("% x", secret),
		`\x`:            `"\x50\x77\x2d\x53\x45\x43\x52\x45\x54\x2f\x73\xc3\xa9\x63\x72\x65\x74\x26\x22\x31\x02"`,
		"percent":       "%50%77%2d%53%45%43%52%45%54%2f%73%c3%a9%63%72%65%74%26%22%31%02",
	} {
		if got := h.Search([]byte(text)); len(got) == 0 {
			t.Errorf("%s: not found in %q", name, text)
		}
	}
	if got := h.Search([]byte("Pw-SECRET is not all of it")); len(got) != 0 {
		t.Errorf("found %q where there is nothing", got)
	}
	if h.Plant("pin", "1234567") == nil {
		t.Error("a secret of 7 bytes is taken")
	}
}
