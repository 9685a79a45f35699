package sim

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const tiny = "testdata/mockup"

func mockup(t *testing.T, dir string) *rig {
	t.Helper()
	tree, err := ReadMockup(dir)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, Config{Tree: tree})
}

// What the tiny mockup serves, byte for byte.
func TestMockupTiny(t *testing.T) {
	t.Parallel()
	long := t.TempDir()
	if err := os.CopyFS(filepath.Join(long, "redfish", "v1"), os.DirFS(tiny)); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{tiny, long} {
		r := mockup(t, dir)
		file, err := os.ReadFile(filepath.Join(tiny, "Systems", "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Replace(string(file), ",\n    \"@Redfish.Copyright\": \"Copyright 2014-2025 nobody.\"", "", 1)
		if p := r.want(200, "GET", "/redfish/v1/Systems", ""); string(p.body) != want {
			t.Errorf("%s: %s", dir, p.body)
		}
		if p := r.want(200, "GET", "/redfish/v1/Systems/blade1/", ""); !strings.HasPrefix(string(p.body), "{\n    \"@odata.id\"") || p.member("Oem", "Contoso") != "{\n            \"Weight\": 1.5\n        }" {
			t.Errorf("%s: %s", dir, p.body)
		}
		r.want(200, "GET", "/redfish/v1/Registries/Base.1.0.0.json", "")
		for _, path := range []string{"/redfish/v1/explorer_config.json", "/redfish/v1/README.md", "/redfish/v1/Systems/blade1/index.json", "/redfish/v1/AccountService"} {
			r.want(404, "GET", path, "")
		}
	}
}

func TestMockupSessions(t *testing.T) {
	t.Parallel()
	r := mockup(t, tiny)
	for path, want := range map[string]string{
		"/redfish": `"/redfish/v1/"`, "/redfish/v1/": `"Tiny"`, "/redfish/v1/odata": `"value": []`, "/redfish/v1/$metadata": "<edmx:Edmx",
	} {
		if p := r.do("GET", path, ""); p.status != 200 || !strings.Contains(string(p.body), want) || strings.Contains(string(p.body), copyright) {
			t.Errorf("GET %s: %d %s", path, p.status, p.body)
		}
	}
	if p := r.do("GET", "/redfish/v1/Systems", ""); p.status != 401 {
		t.Errorf("without credentials: %d", p.status)
	}
	if r.store.get(servicePath) != nil || r.store.get(sessionsPath+"/77") != nil {
		t.Error("the mockup's session service is kept")
	}
	tok, at := r.login()
	if p := r.do("GET", servicePath, "", token(tok)); p.member("SessionTimeout") != "1800" || p.member("Name") == `"Not this one"` {
		t.Errorf("%s", p.body)
	}
	if p := r.do("GET", sessionsPath+"/77", "", token(tok)); p.status != 404 {
		t.Errorf("a session of the mockup: %d", p.status)
	}
	if p := r.do("DELETE", at, "", token(tok)); p.status != 204 {
		t.Errorf("logout: %d", p.status)
	}
}

func TestMockupWrites(t *testing.T) {
	t.Parallel()
	tree, err := ReadMockup(tiny)
	if err != nil {
		t.Fatal(err)
	}
	r, other := start(t, Config{Tree: tree}), start(t, Config{Tree: tree})
	blade := "/redfish/v1/Systems/blade1"
	before := r.want(200, "GET", blade, "")
	if got := before.header.Get("Allow"); got != "GET, HEAD" {
		t.Errorf("Allow: %s", got)
	}
	if got := r.want(405, "PUT", blade, "{}").header.Get("Allow"); got != "GET, HEAD, PATCH, DELETE" {
		t.Errorf("Allow of a 405: %s", got)
	}

	p := r.want(200, "PATCH", blade, `{"AssetTag":"x","Boot":{"BootSourceOverrideTarget":"Pxe"},"Id":"y","@odata.id":"z"}`, header("If-Match", before.header.Get("ETag")))
	if p.member("AssetTag") != `"x"` || p.member("Boot", "BootSourceOverrideTarget") != `"Pxe"` || p.member("Boot", "UefiTargetBootSourceOverride") != "null" || p.member("Id") != `"blade1"` {
		t.Errorf("PATCH: %s", p.body)
	}
	if got := r.want(200, "GET", blade, ""); !bytes.Equal(got.body, p.body) || got.header.Get("ETag") != p.header.Get("ETag") {
		t.Errorf("GET after PATCH: %s", got.body)
	}
	r.want(412, "PATCH", blade, `{"AssetTag":"x"}`, header("If-Match", before.header.Get("ETag")))
	r.want(400, "PATCH", blade, `{"a":1,"a":2}`)
	r.want(405, "PATCH", "/redfish/v1/Systems", "{}")
	r.want(405, "DELETE", "/redfish/v1/Systems", "")
	r.want(405, "DELETE", "/redfish/v1/", "")

	p = r.want(201, "POST", "/redfish/v1/Systems", `{"Name":"New","Model":"M"}`)
	at := strings.TrimPrefix(p.header.Get("Location"), r.url)
	if at != "/redfish/v1/Systems/1" || p.member("Name") != `"New"` || p.member("@odata.type") != `"#ComputerSystem.v1_10_0.ComputerSystem"` {
		t.Errorf("created at %s: %s", at, p.body)
	}
	r.want(201, "POST", "/redfish/v1/Systems/Members", `{}`)
	r.want(404, "POST", "/redfish/v1/Systems/blade1/Members", `{}`)
	if p = r.want(200, "GET", "/redfish/v1/Systems", ""); p.member("Members@odata.count") != "3" || p.member("Members", "2", "@odata.id") != `"/redfish/v1/Systems/2"` {
		t.Errorf("collection: %s", p.body)
	}
	r.want(204, "DELETE", blade, "")
	r.want(404, "GET", blade, "")
	r.want(404, "GET", blade+"/Bios", "")
	r.want(404, "DELETE", blade, "")
	r.want(204, "DELETE", at, "")
	if p = r.want(200, "GET", "/redfish/v1/Systems", ""); p.member("Members@odata.count") != "1" {
		t.Errorf("collection: %s", p.body)
	}

	if got := other.want(200, "GET", blade, ""); !bytes.Equal(got.body, before.body) {
		t.Errorf("another device of the same tree has changed: %s", got.body)
	}
}

func TestMockupActions(t *testing.T) {
	t.Parallel()
	r := mockup(t, tiny)
	blade := "/redfish/v1/Systems/blade1"
	reset := func(how, want string) {
		t.Helper()
		r.want(204, "POST", blade+"/Actions/ComputerSystem.Reset", `{"ResetType":"`+how+`"}`)
		if got := r.want(200, "GET", blade, "").member("PowerState"); got != want {
			t.Errorf("%s: %s", how, got)
		}
	}
	reset("ForceOff", `"Off"`)
	reset("Nonsense", `"Off"`)
	reset("On", `"On"`)
	r.want(204, "POST", blade+"/Contoso.Ping", "")
	r.want(405, "GET", blade+"/Contoso.Ping", "")
	r.want(400, "POST", blade+"/Contoso.Ping", "[")
	r.want(404, "POST", blade+"/Actions/ComputerSystem.Explode", "{}")
}

// What clients leave in a mockup is bounded.
func TestMockupIsBounded(t *testing.T) {
	t.Parallel()
	r := mockup(t, tiny)
	r.store.mu.Lock()
	for n := range maxChanged {
		r.store.set("/redfish/v1/Created/"+strconv.Itoa(n), []byte("{}"))
	}
	r.store.set("/redfish/v1/Created/3", bytes.Repeat([]byte(" "), maxChangedBytes-maxBody/2))
	r.store.mu.Unlock()
	if p := r.want(507, "POST", "/redfish/v1/Systems", "{}"); p.messages() != "CreateLimitReachedForResource" {
		t.Errorf("%s", p.body)
	}
	r.want(507, "PATCH", "/redfish/v1/Systems/blade1", `{"a":1}`)
	r.want(200, "PATCH", "/redfish/v1/Created/1", `{"a":1}`) // is one of them
	r.want(204, "DELETE", "/redfish/v1/Created/2", "")
	r.want(507, "PATCH", "/redfish/v1/Created/1", `{"a":"`+strings.Repeat("x", maxBody/2)+`"}`)
}

func TestReadMockupErrors(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	write := func(dir, name, text string) {
		t.Helper()
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(outside, "secret.json", `{"secret": 1}`)
	root := `{"@odata.id":"/redfish/v1/"}`
	for name, tt := range map[string]struct {
		make func(dir string)
		want string
	}{
		"empty":      {func(string) {}, "no service root"},
		"no object":  {func(dir string) { write(dir, "index.json", "[]") }, "no service root"},
		"not JSON":   {func(dir string) { write(dir, "index.json", root); write(dir, "Systems/index.json", "{,}") }, "Systems/index.json: not JSON"},
		"empty file": {func(dir string) { write(dir, "index.json", "") }, "not JSON"},
		"large": {func(dir string) {
			write(dir, "index.json", root)
			write(dir, "big.json", "{}"+strings.Repeat(" ", maxTreeFile))
		}, "big.json: larger than"},
		"link out": {func(dir string) {
			write(dir, "index.json", root)
			if err := os.Symlink(filepath.Join(outside, "secret.json"), filepath.Join(dir, "leak.json")); err != nil {
				t.Fatal(err)
			}
		}, "leak.json"},
	} {
		dir := t.TempDir()
		tt.make(dir)
		if _, err := ReadMockup(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := ReadMockup(filepath.Join(outside, "nothing")); err == nil {
		t.Error("a missing directory is read")
	}
	dir := t.TempDir()
	write(dir, "index.json", "\xef\xbb\xbf"+root)
	if tree, err := ReadMockup(dir); err != nil || string(tree.files[rootPath].body) != root {
		t.Errorf("with a byte order mark: %v", err)
	}
}

// redfishData returns the folder of published data that the tests read.
func redfishData(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("REDFISH_DATA")
	if dir == "" {
		if os.Getenv("CI") == "true" {
			t.Fatal("REDFISH_DATA is not set: in CI nothing may be skipped")
		}
		t.Skip("REDFISH_DATA is not set: the DMTF's mockups are NOT tested")
	}
	return dir
}

// The DMTF's own mockups, all of them as they are on disk.
func TestMockupPublished(t *testing.T) {
	t.Parallel()
	line := regexp.MustCompile(`(?:,\s*"@Redfish\.Copyright": "[^"]*"|"@Redfish\.Copyright": "[^"]*",\s*)`)
	for _, name := range []string{"public-rackmount1", "public-bladed", "public-catfish"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(redfishData(t), "mockups", name)
			r := mockup(t, dir)
			n := 0
			err := filepath.WalkDir(dir, func(at string, d fs.DirEntry, err error) error {
				if err != nil || d.Name() != "index.json" {
					return err
				}
				rel, err := filepath.Rel(dir, filepath.Dir(at))
				if err != nil {
					return err
				}
				path := strings.TrimSuffix(rootPath+"/"+filepath.ToSlash(rel), "/.")
				if path == servicePath || within(path, servicePath) {
					return nil
				}
				file, err := os.ReadFile(at)
				if err != nil {
					return err
				}
				n++
				p := r.want(200, "GET", path, "")
				if !bytes.Equal(p.body, line.ReplaceAll(file, nil)) {
					t.Errorf("%s: %s", path, p.body)
				}
				var served, stored map[string]any
				json.Unmarshal(p.body, &served)
				json.Unmarshal(file, &stored)
				if delete(stored, copyright); !reflect.DeepEqual(served, stored) || len(served) == 0 {
					t.Errorf("%s: not the resource on disk", path)
				}
				return nil
			})
			if err != nil || n < 20 {
				t.Errorf("%d resources, %v", n, err)
			}
		})
	}
}
