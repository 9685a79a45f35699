//go:build integration

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// seedLines runs the curl lines of HPE's page as they are printed there, with
// nothing changed but the address, the name, the password and the path of the
// data file.
func seedLines(t *testing.T, w *world, e endpoint) error {
	tool(t, "curl")
	tool(t, "jq")
	bash := tool(t, "bash")
	text, err := os.ReadFile("clients/seed-lines.sh")
	if err != nil {
		return err
	}
	dir := t.TempDir()
	data := filepath.Join(dir, "data.json")
	body := fmt.Sprintf("    {\n      \"UserName\": %q, \n      \"Password\": %q\n    }\n", e.user, e.password)
	lines := strings.NewReplacer("{IP}", e.host(), "username:password", e.user+":"+e.password, "/tmp/data.json", data).Replace(string(text))
	file := filepath.Join(dir, "lines.sh")
	for name, content := range map[string]string{data: body, file: lines} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			return err
		}
	}
	out, err := runClient(t, []string{"bmc_ip=" + e.host()}, bash, file)
	if err != nil {
		return err
	}
	return judgeSeed(w, e, sections(string(out)))
}

func sections(out string) map[string]string {
	found := map[string]string{}
	for _, part := range strings.Split(out, "\n=== ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		found[name] = text
	}
	return found
}

var token = regexp.MustCompile(`^[0-9a-f]{32}$`)

func judgeSeed(w *world, e endpoint, got map[string]string) error {
	for name, start := range map[string]string{
		"anonymous": "HTTP/1.1 401 ",
		"basic":     "HTTP/1.1 200 ",
		"delete":    "HTTP/1.1 20",
		"dead":      "HTTP/1.1 401 ",
	} {
		if !strings.HasPrefix(got[name], start) {
			return fmt.Errorf("%s: got %q, want it to start with %q", name, got[name], start)
		}
	}
	if n := strings.Count(got["delete"], "HTTP/1.1 20"); n != 2 {
		return fmt.Errorf("delete: %d sessions were ended, want 2: %q", n, got["delete"])
	}
	if !strings.Contains(got["anonymous"], "NoValidSession") || !strings.Contains(got["anonymous"], "Www-Authenticate: Basic") &&
		!strings.Contains(got["anonymous"], "WWW-Authenticate: Basic") {
		return fmt.Errorf("anonymous: got %q, want NoValidSession and WWW-Authenticate: Basic", got["anonymous"])
	}
	var url string
	for _, form := range []string{"string", "array"} {
		words := strings.Fields(got[form])
		if len(words) != 2 || !token.MatchString(words[0]) || !strings.HasPrefix(words[1], e.base+"/redfish/v1/SessionService/Sessions/") {
			return fmt.Errorf("TokenAndUrl, %s form: got %q, want a token of 32 hexadecimal digits and a URL below %s", form, got[form], e.base)
		}
		w.secret("token of curl", words[0])
		url = words[1]
	}
	path := strings.TrimPrefix(url, e.base)
	var session map[string]any
	if err := json.Unmarshal([]byte(got["use"]), &session); err != nil {
		return fmt.Errorf("use: %q: %w", got["use"], err)
	}
	if session["@odata.id"] != path || session["UserName"] != e.user {
		return fmt.Errorf("use: got the session %v, want %s of %s", session, path, e.user)
	}
	if !strings.Contains(got["list"], `"`+path+`"`) {
		return fmt.Errorf("list: got %q, want it to name %s", got["list"], path)
	}
	return nil
}

// curlEffects resets a system and overrides its boot source.
func curlEffects(t *testing.T, w *world, e endpoint) error {
	curl := tool(t, "curl")
	run := func(method, path, body string) (string, error) {
		args := []string{"--silent", "--show-error", "--fail-with-body", "--cacert", e.ca, "--user", e.user + ":" + e.password, "--request", method}
		if body != "" {
			args = append(args, "--header", "Content-Type: application/json", "--data", body)
		}
		out, err := runClient(t, nil, curl, append(args, e.base+path)...)
		return string(out), err
	}
	system := func() (s struct {
		Path       string `json:"@odata.id"`
		PowerState string
		Boot       struct{ BootSourceOverrideTarget string }
		Actions    map[string]struct{ Target string }
	}, err error) {
		var list struct {
			Members []struct {
				Path string `json:"@odata.id"`
			}
		}
		out, err := run("GET", "/redfish/v1/Systems", "")
		if err == nil {
			err = json.Unmarshal([]byte(out), &list)
		}
		if err != nil {
			return s, err
		}
		if len(list.Members) <= e.system {
			return s, fmt.Errorf("%d systems are listed, want more than %d", len(list.Members), e.system)
		}
		if out, err = run("GET", list.Members[e.system].Path, ""); err == nil {
			err = json.Unmarshal([]byte(out), &s)
		}
		return s, err
	}

	before, err := system()
	if err != nil {
		return err
	}
	state, kind := "On", "On"
	if before.PowerState == "On" {
		state, kind = "Off", "ForceOff"
	}
	source := "Pxe"
	if before.Boot.BootSourceOverrideTarget == "Pxe" {
		source = "Hdd"
	}
	if _, err := run("POST", before.Actions["#ComputerSystem.Reset"].Target, `{"ResetType": "`+kind+`"}`); err != nil {
		return err
	}
	boot := `{"Boot": {"BootSourceOverrideTarget": "` + source + `", "BootSourceOverrideEnabled": "Once"}}`
	if _, err := run("PATCH", before.Path, boot); err != nil {
		return err
	}
	for range 300 {
		after, err := system()
		if err != nil {
			return err
		}
		if after.PowerState == state && after.Boot.BootSourceOverrideTarget == source {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the system did not become %s with boot source %s", state, source)
}
