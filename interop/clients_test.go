//go:build integration

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// clientLimit is more than any client needs, a device's slow switch included.
const clientLimit = 90 * time.Second

// A scene is one thing that a client does. run returns nil or what went wrong;
// the secrets it saw are told to the world.
type scene struct {
	client string
	what   string
	run    func(*testing.T, *world, endpoint) error
}

// script is a scene of a Python script in clients/.
func script(client, file, name, what string) scene {
	return scene{client, what, func(t *testing.T, w *world, e endpoint) error {
		out, err := python(t, e, file, name)
		if err != nil {
			return err
		}
		var facts struct {
			Token  string
			Tokens []string
		}
		if err := json.Unmarshal(out, &facts); err != nil {
			return fmt.Errorf("%s %s printed %q: %w", file, name, out, err)
		}
		for _, token := range append(facts.Tokens, facts.Token) {
			w.secret("token of "+client, token)
		}
		return nil
	}}
}

// python runs a script of clients/ against the endpoint.
func python(t *testing.T, e endpoint, file string, args ...string) ([]byte, error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("clients", file))
	if err != nil {
		return nil, err
	}
	env := []string{"POSTERN_BASE=" + e.base, "POSTERN_USER=" + e.user, "POSTERN_PASSWORD=" + e.password, "POSTERN_CA=" + e.ca,
		"POSTERN_SYSTEM=" + strconv.Itoa(e.system), "POSTERN_EXPIRE=" + e.expire}
	return runClient(t, env, venv(t, "python"), append([]string{path}, args...)...)
}

// runClient runs a client in an empty folder; the error holds the end of what
// it had to say.
func runClient(t *testing.T, env []string, bin string, args ...string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Env, cmd.Dir = cleanEnv(env...), t.TempDir()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w: %s%s", filepath.Base(bin), err, tailOf(out.String()), tailOf(errs.String()))
	}
	return out.Bytes(), nil
}

func tailOf(s string) string {
	const keep = 1500
	return strings.TrimSpace(s[max(0, len(s)-keep):])
}

var (
	pySession        = script("redfish", "redfish_library.py", "session", "session: list, read, reset, boot override, logout")
	pyBasic          = script("redfish", "redfish_library.py", "basic", "Basic: list, read, reset, boot override")
	pyRelogin        = script("redfish", "redfish_library.py", "relogin", "login after the session's end, the dead token still in its header")
	pyWrong          = script("redfish", "redfish_library.py", "wrong", "a wrong password is refused, session and Basic")
	aioSession       = script("redfish.aio", "redfish_aio.py", "session", "session: list, read, reset, logout")
	aioBasic         = script("redfish.aio", "redfish_aio.py", "basic", "Basic: list, read, reset")
	aioRelogin       = script("redfish.aio", "redfish_aio.py", "relogin", "five reads at once after the session's end: one login")
	suSession        = script("sushy", "sushy_client.py", "session", "session: list, read, reset, boot override, logout")
	suBasic          = script("sushy", "sushy_client.py", "basic", "Basic: list, read, reset, boot override")
	suAuto           = script("sushy", "sushy_client.py", "auto", "session or Basic, as Ironic: list, read, reset, boot override")
	toolBasicScene   = scene{"redfishtool", "Basic (-S Always): list, read, reset, boot override", toolBasic}
	toolDefaultScene = scene{"redfishtool", "Basic, plain http first, its default: list", toolDefault}
	toolSessionScene = scene{"redfishtool", "session (-S Always -A Session): list, read, reset, own session", toolSession}
	suRelogin        = script("sushy", "sushy_client.py", "relogin", "the session's end in the middle: logs in and repeats by itself")
)

var scenes = []scene{
	pySession, pyBasic, pyRelogin, pyWrong,
	aioSession, aioBasic, aioRelogin,
	suSession, suBasic, suAuto, suRelogin,
	toolBasicScene, toolSessionScene, toolDefaultScene,
	{"redfish_utilities", "rf_raw_request, rf_power_reset, rf_boot_override (a session each)", rfTools},
	{"curl", "HPE's page, \"Redfish authentication and sessions\": 401, Basic, TokenAndUrl in both forms, use, list, DELETE", seedLines},
	{"curl", "reset and boot override", curlEffects},
}

// toolRun runs one command of redfishtool.
func toolRun(t *testing.T, e endpoint, args ...string) (map[string]any, error) {
	t.Helper()
	return toolRunPlain(t, e, append([]string{"-S", "Always"}, args...)...)
}

// toolRunPlain is toolRun with plain http for what needs no login, which is
// the tool's default.
func toolRunPlain(t *testing.T, e endpoint, args ...string) (map[string]any, error) {
	t.Helper()
	args = append([]string{"-r", e.host(), "-u", e.user, "-p", e.password, "-T", "60"}, args...)
	out, err := runClient(t, nil, venv(t, "redfishtool"), args...)
	if err != nil {
		return nil, err
	}
	var body map[string]any
	if len(bytes.TrimSpace(out)) > 0 {
		if err := json.Unmarshal(out, &body); err != nil {
			return nil, fmt.Errorf("redfishtool printed %q: %w", out, err)
		}
	}
	return body, nil
}

func toolBasic(t *testing.T, _ *world, e endpoint) error { return toolUse(t, e) }

func toolDefault(t *testing.T, _ *world, e endpoint) error {
	list, err := toolRunPlain(t, e, "Systems", "list")
	if err != nil {
		return err
	}
	if members, _ := list["Members"].([]any); len(members) == 0 {
		return errors.New("no system is listed")
	}
	return nil
}

func toolSession(t *testing.T, _ *world, e endpoint) error {
	if err := toolUse(t, e, "-A", "Session"); err != nil {
		return err
	}
	list, err := toolRun(t, e, "-A", "Session", "SessionService", "Sessions")
	if err != nil {
		return err
	}
	if members, _ := list["Members"].([]any); len(members) == 0 {
		return errors.New("its own session is not listed")
	}
	list, err = toolRun(t, e, "SessionService", "Sessions")
	if err != nil {
		return err
	}
	if members, _ := list["Members"].([]any); len(members) != 0 {
		return fmt.Errorf("sessions are left behind: %v", members)
	}
	return nil
}

// toolUse lists, reads, resets and overrides the boot source.
func toolUse(t *testing.T, e endpoint, auth ...string) error {
	t.Helper()
	run := func(args ...string) (map[string]any, error) {
		return toolRun(t, e, append(slices.Clone(auth), args...)...)
	}
	list, err := run("Systems", "list")
	if err != nil {
		return err
	}
	members, _ := list["Members"].([]any)
	if len(members) <= e.system {
		return fmt.Errorf("%d systems are listed, want more than %d", len(members), e.system)
	}
	id, _ := members[e.system].(map[string]any)["Id"].(string)
	before, err := run("Systems", "-I", id)
	if err != nil {
		return err
	}
	state, kind := "On", "On"
	if before["PowerState"] == "On" {
		state, kind = "Off", "ForceOff"
	}
	if _, err := run("Systems", "-I", id, "reset", kind); err != nil {
		return err
	}
	if err := toolWait(run, id, func(s map[string]any) any { return s["PowerState"] }, state); err != nil {
		return err
	}
	source := "Pxe"
	if bootTarget(before) == "Pxe" {
		source = "Hdd"
	}
	if _, err := run("Systems", "-I", id, "setBootOverride", "Once", source); err != nil {
		return err
	}
	return toolWait(run, id, bootTarget, source)
}

func bootTarget(system map[string]any) any {
	boot, _ := system["Boot"].(map[string]any)
	return boot["BootSourceOverrideTarget"]
}

func toolWait(run func(...string) (map[string]any, error), id string, read func(map[string]any) any, want any) error {
	var got any
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		system, err := run("Systems", "-I", id)
		if err != nil {
			return err
		}
		if got = read(system); got == want {
			return nil
		}
	}
	return fmt.Errorf("the system says %v, want %v", got, want)
}

// rfTools uses the scripts of the Redfish Tacklebox, which know sessions alone.
func rfTools(t *testing.T, _ *world, e endpoint) error {
	run := func(script string, args ...string) ([]byte, error) {
		args = append([]string{venv(t, script), "-u", e.user, "-p", e.password, "-r", e.base}, args...)
		return runClient(t, nil, venv(t, "python"), args...)
	}
	get := func(path string, into any) error {
		out, err := run("rf_raw_request.py", "-req", path)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(out, into); err != nil {
			return fmt.Errorf("rf_raw_request printed %q: %w", out, err)
		}
		return nil
	}
	var list struct {
		Members []struct {
			Path string `json:"@odata.id"`
		}
	}
	if err := get("/redfish/v1/Systems", &list); err != nil {
		return err
	}
	if len(list.Members) <= e.system {
		return fmt.Errorf("%d systems are listed, want more than %d", len(list.Members), e.system)
	}
	var system map[string]any
	path := list.Members[e.system].Path
	if err := get(path, &system); err != nil {
		return err
	}
	state, kind := "On", "On"
	if system["PowerState"] == "On" {
		state, kind = "Off", "ForceOff"
	}
	source := "Pxe"
	if bootTarget(system) == "Pxe" {
		source = "Hdd"
	}
	id, _ := system["Id"].(string)
	if _, err := run("rf_power_reset.py", "-s", id, "-t", kind); err != nil {
		return err
	}
	if _, err := run("rf_boot_override.py", "-s", id, "-t", source); err != nil {
		return err
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		clear(system)
		if err := get(path, &system); err != nil {
			return err
		}
		if system["PowerState"] == state && bootTarget(system) == source {
			return nil
		}
	}
	return fmt.Errorf("the system says %v and %v, want %s and %s", system["PowerState"], bootTarget(system), state, source)
}
