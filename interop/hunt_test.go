//go:build integration

package interop

import (
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern/postern/internal/wiretest"
)

// hunt searches everything that Postern left in the world (output, logs, audit,
// journals, database) for the secrets of the test, in every coding that a
// careless line could have put them in.
func (w *world) hunt() {
	for _, find := range w.finds() {
		w.t.Error(find)
	}
}

func (w *world) finds() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var hunter wiretest.Hunter
	for secret, what := range w.secrets {
		if err := hunter.Plant(what, secret); err != nil {
			return []string{err.Error()}
		}
	}
	var finds []string
	err := filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || w.spared[path] {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, what := range hunter.Search(data) {
			finds = append(finds, "found in "+strings.TrimPrefix(path, w.dir)+": "+what)
		}
		return nil
	})
	if err != nil {
		finds = append(finds, "hunt for secrets: "+err.Error())
	}
	return finds
}

// The hunt has to find what it looks for.
func TestHuntFinds(t *testing.T) {
	t.Parallel()
	const secret = "Pw-SECRETSECRET&1"
	for name, text := range map[string]string{
		"plain":   "level=DEBUG password=" + secret,
		"header":  "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin:"+secret)),
		"header1": "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin1:"+secret)),
		"header2": "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("admin22:"+secret)),
		"query":   "/x?p=" + url.QueryEscape(secret),
		"json":    `{"Password":"Pw-SECRETSECRET\u00261"}`,
		"hex":     hex.EncodeToString([]byte(secret)),
	} {
		w := &world{t: t, dir: t.TempDir(), secrets: map[string]string{secret: "password"}, spared: map[string]bool{}}
		if got := w.finds(); len(got) != 0 {
			t.Errorf("%s: found %q in an empty world", name, got)
		}
		if err := os.WriteFile(w.path("x.log"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if len(w.finds()) == 0 {
			t.Errorf("%s: %q was not found", name, text)
		}
		w.spare(w.path("x.log"))
		if got := w.finds(); len(got) != 0 {
			t.Errorf("%s: found %q in a spared file", name, got)
		}
	}
}
