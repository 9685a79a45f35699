//go:build integration

package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// redfishData is the folder of published Redfish data that the tests read.
func redfishData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("REDFISH_DATA")
	need(t, dir != "", "REDFISH_DATA: the folder of published mockups, schemas and registries")
	return dir
}

// visited is what the walk of clients/walk.py found at one path.
type visited struct {
	status         int
	body           []byte
	location, link string
}

// A real client reads each published tree as a whole, from the device and
// through the gateway, and gets the same bytes, but for what is the gateway's own.
func TestMockups(t *testing.T) {
	t.Parallel()
	data := redfishData(t)
	for _, tree := range []string{"public-rackmount1", "public-bladed", "public-catfish"} {
		t.Run(tree, func(t *testing.T) { readMockup(t, filepath.Join(data, "mockups", tree), "mockup "+tree) })
	}
}

func readMockup(t *testing.T, dir, device string) {
	w := newWorld(t)
	files := treeFiles(t, dir)
	d := w.sim("--mockup", dir)
	g := w.gateway(d.target()).up(w)
	what := fmt.Sprintf("the whole tree, %d resources", len(files))

	direct := map[string]visited{}
	scene{"redfish", what + ", is as published", func(t *testing.T, w *world, e endpoint) (err error) {
		start := append(slices.Collect(maps.Keys(files)), "/redfish", "/redfish/v1/odata", "/redfish/v1/$metadata")
		if direct, err = walkTree(t, w, e, start); err != nil {
			return err
		}
		return asPublished(files, direct)
	}}.record(t, w, d.endpoint, device, "direct")

	scene{"redfish", what + ", is byte for byte what the device serves", func(t *testing.T, w *world, e endpoint) error {
		through, err := walkTree(t, w, e, slices.Collect(maps.Keys(direct)))
		if err != nil {
			return err
		}
		return sameTree(direct, through, strings.NewReplacer(d.base, g.base, d.host(), g.host()))
	}}.record(t, w, g.endpoint, device, "gateway")
	if got := d.lines("login"); len(got) != 2 { // the walk's own, and the gateway's
		t.Errorf("the device's journal has %d logins, want 2: %v", len(got), got)
	}
}

// walkTree reads everything that can be reached from the root and from start.
func walkTree(t *testing.T, w *world, e endpoint, start []string) (map[string]visited, error) {
	list := filepath.Join(t.TempDir(), "start")
	if err := os.WriteFile(list, []byte(strings.Join(start, "\n")), 0o600); err != nil {
		return nil, err
	}
	out, err := python(t, e, "walk.py", list)
	if err != nil {
		return nil, err
	}
	var raw map[string][]any
	if err := json.Unmarshal(out, &raw); err != nil {
		return nil, err
	}
	found := map[string]visited{}
	for path, r := range raw {
		body, err := base64.StdEncoding.DecodeString(r[1].(string))
		if err != nil {
			return nil, err
		}
		found[path] = visited{int(r[0].(float64)), body, r[2].(string), r[3].(string)}
	}
	return found, nil
}

// below reports whether path is the resource of the root or under it.
func below(path, resource string) bool {
	root := "/redfish/v1/" + resource
	return path == root || strings.HasPrefix(path, root+"/")
}

// asPublished holds what the device serves against the files: the same bytes
// but for the copyright members, and its SessionService lives.
func asPublished(files map[string][]byte, got map[string]visited) error {
	for path, want := range files {
		if below(path, "SessionService") {
			continue
		}
		v := got[path]
		if v.status != http.StatusOK {
			return fmt.Errorf("GET %s: status %d", path, v.status)
		}
		if !isCut(want, v.body) {
			return fmt.Errorf("GET %s: not the published bytes without the copyright: %.300s", path, v.body)
		}
	}
	return nil
}

// copyrightMember is all that may be missing, with the comma and the space around it.
var copyrightMember = regexp.MustCompile(`^\s*,?\s*"@Redfish\.Copyright"\s*:\s*"[^"]*"\s*,?\s*$`)

// isCut reports whether got is file without one piece, its copyright member.
func isCut(file, got []byte) bool {
	const longest = 300
	if len(got) > len(file) || len(file)-len(got) > longest {
		return false
	}
	front := 0
	for front < len(got) && file[front] == got[front] {
		front++
	}
	tail := len(got) - front
	cut := string(file[front : len(file)-tail])
	if !bytes.Equal(file[len(file)-tail:], got[front:]) {
		return false
	}
	if cut == "" {
		return !bytes.Contains(got, []byte("@Redfish.Copyright"))
	}
	// What follows the member may begin like it, so the piece that was found
	// may be the member turned round.
	for i := range cut {
		if copyrightMember.MatchString(cut[i:] + cut[:i]) {
			return true
		}
	}
	return false
}

// The comparison has to notice a change, or it shows nothing.
func TestMockupComparison(t *testing.T) {
	t.Parallel()
	const file = `{"Id":"1","@Redfish.Copyright":"(c)"}`
	for got, want := range map[string]bool{`{"Id":"1"}`: true, `{"Id":"2"}`: false, `{"Id": "1"}`: false, file: false, file + " ": false, `{}`: false} {
		if isCut([]byte(file), []byte(got)) != want {
			t.Errorf("isCut(%s, %s) is not %v", file, got, want)
		}
	}
	tree := func(change func(map[string]visited)) map[string]visited {
		m := map[string]visited{"/redfish/v1/AccountService/Roles": {status: 403}, "/redfish/v1/SessionService": {status: 200}}
		for i := range 20 {
			m[fmt.Sprintf("/redfish/v1/Systems/%d", i)] = visited{200, []byte("{}"), "https://device/x", ""}
		}
		change(m)
		return m
	}
	const one = "/redfish/v1/Systems/1"
	hosts := strings.NewReplacer("https://device", "https://gateway")
	direct := tree(func(map[string]visited) {})
	asIs := func(m map[string]visited) {
		for path, v := range m {
			v.location = hosts.Replace(v.location)
			m[path] = v
		}
	}
	for name, change := range map[string]func(map[string]visited){
		"":         func(map[string]visited) {},
		"status":   func(m map[string]visited) { m[one] = visited{404, []byte("{}"), "https://gateway/x", ""} },
		"body":     func(m map[string]visited) { m[one] = visited{200, []byte("{ }"), "https://gateway/x", ""} },
		"host":     func(m map[string]visited) { m[one] = direct[one] },
		"missing":  func(m map[string]visited) { delete(m, one) },
		"accounts": func(m map[string]visited) { m["/redfish/v1/AccountService/Roles"] = visited{status: 200} },
	} {
		through := tree(func(m map[string]visited) { asIs(m); change(m) })
		if err := sameTree(direct, through, hosts); (err != nil) != (name != "") {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

// sameTree holds what came through the gateway against what the device serves.
// hosts puts the gateway's address where the device's stood.
func sameTree(direct, through map[string]visited, hosts *strings.Replacer) error {
	if len(direct) < 20 {
		return fmt.Errorf("%d paths: not a tree", len(direct))
	}
	for path, want := range direct {
		got, ok := through[path]
		if !ok {
			return fmt.Errorf("GET %s: not read through the gateway", path)
		}
		switch {
		case below(path, "SessionService"):
			continue // the gateway's own
		case below(path, "AccountService"), below(path, "CertificateService"):
			if got.status != http.StatusForbidden {
				return fmt.Errorf("GET %s: status %d, want 403", path, got.status)
			}
			continue
		}
		if got.status != want.status || !bytes.Equal(got.body, want.body) {
			return fmt.Errorf("GET %s: got %d %.300s, want %d %.300s", path, got.status, got.body, want.status, want.body)
		}
		if l := hosts.Replace(want.location); got.location != l {
			return fmt.Errorf("GET %s: Location %q, want %q", path, got.location, l)
		}
		if l := hosts.Replace(want.link); got.link != l {
			return fmt.Errorf("GET %s: Link %q, want %q", path, got.link, l)
		}
	}
	return nil
}

// treeFiles reads the JSON files of a tree, by the path that they are served at.
func treeFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() != "index.json" {
			return err
		}
		rel, err := filepath.Rel(dir, filepath.Dir(path))
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		files[strings.TrimSuffix("/redfish/v1/"+filepath.ToSlash(rel), "/.")] = data
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d resources, %v", dir, len(files), err)
	}
	return files
}
