//go:build integration

package interop

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// compatEnv says what to do with the results: "write" docs/compatibility.md, or
// "check" that it says the same.
const compatEnv = "POSTERN_COMPAT"

const compatPage = "../docs/compatibility.md"

func TestMain(m *testing.M) {
	code := m.Run()
	mode, green := os.Getenv(compatEnv), code == 0
	for _, settle := range []func(string, bool) error{results.settle, leaks.settle} {
		if err := settle(mode, green); err != nil {
			fmt.Fprintln(os.Stderr, "FAIL:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// results are the rows that the tests of this run found out.
var results table

type table struct {
	mu   sync.Mutex // guards what follows
	rows []Row
	gaps bool // a test was skipped: the rows are not all there are
}

func (r *table) add(row Row) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows = append(r.rows, row)
}

// gap notes that a test which makes rows did not run to its end.
func (r *table) gap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gaps = true
}

// settle writes the page or holds it against the rows.
func (r *table) settle(mode string, green bool) error {
	switch {
	case mode == "":
		return nil
	case mode == "write" && (r.gaps || !green):
		return fmt.Errorf("%s is left as it is: a test failed or was skipped", compatPage)
	case mode == "write":
		return os.WriteFile(compatPage, []byte(page(r.rows)), 0o644)
	}
	data, err := os.ReadFile(compatPage)
	if err != nil {
		return err
	}
	rows, err := ParseTable(string(data))
	if err != nil {
		return err
	}
	diff := Differences(rows, r.rows)
	if r.gaps { // the page may know more than this run
		diff = slices.DeleteFunc(diff, func(d string) bool { return strings.HasPrefix(d, PageOnly) })
	}
	if len(diff) != 0 {
		return fmt.Errorf("%s does not say what this run found (make compat writes it):\n%s", compatPage, strings.Join(diff, "\n"))
	}
	return nil
}

func page(rows []Row) string {
	return "# Compatibility\n\n" +
		"What was tried, with which unmodified client at which version, and what came of it. `make compat` runs\n" +
		"the clients and writes this page; nobody edits it. `make test` runs them again and fails where a row differs.\n\n" +
		"- *device*: what answered in the end. `postern sim` is ours; the sushy-tools emulator is not.\n" +
		"- *way*: `direct`, the client talks to the device; `gateway`, it talks to `postern serve` in front of it, with an account of Postern.\n" +
		"- *result*: `pass`, or the reason why not.\n\n" +
		"The Python packages are pinned in `interop/requirements.txt` and `interop/requirements-hpe.txt`, newman in `interop/newman`, what is Debian's comes from its packages; curl and openssl are those that the machine has.\n\n" +
		fmt.Sprintf("Written on %s, %s/%s, Python %s.\n\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, versions()["python"]) +
		Table(rows)
}

// versions are those of the installed clients, as they tell them.
var versions = sync.OnceValue(func() map[string]string {
	const ask = `
import importlib.metadata as m, json, platform
v = {n: m.version(n) for n in ("redfish", "redfish_utilities", "redfishtool", "sushy", "sushy-tools", "redfish_protocol_validator",
    "redfish_service_validator", "redfish_use_case_checkers", "redfish_interop_validator")}
v["redfish.aio"] = v["redfish"]
v["python"] = platform.python_version()
print(json.dumps(v))`
	v := map[string]string{}
	if out, err := exec.Command("../.venv/bin/python", "-c", ask).Output(); err == nil {
		json.Unmarshal(out, &v)
	}
	maps.Copy(v, versionsHPE())
	v["newman"] = versionNewman()
	for name, ask := range map[string]string{"curl": "--version", "openssl": "version"} {
		if out, err := exec.Command(name, ask).Output(); err == nil {
			if words := strings.Fields(string(out)); len(words) > 1 {
				v[name] = words[1]
			}
		}
	}
	return v
})

// need is Need, and notes that the rows of this run are not all there are.
func need(t testing.TB, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		results.gap()
	}
	Need(t, ok, format, args...)
}

// record runs a scene as a subtest and makes its row.
func (s scene) record(t *testing.T, w *world, e endpoint, device, way string) {
	s.expect(t, w, e, device, way, "", "")
}

// expect is record for a scene that is known to fail: its error has to hold
// the text sign, and the row gives the reason.
func (s scene) expect(t *testing.T, w *world, e endpoint, device, way, sign, reason string) {
	t.Helper()
	t.Run(s.client+" "+s.what, func(t *testing.T) {
		err := s.run(t, w, e)
		row := Row{s.client, versions()[s.client], device, way, s.what, "pass"}
		switch {
		case sign == "" && err != nil:
			t.Error(err)
			row.Result = "no: " + err.Error()
		case sign != "" && err == nil:
			t.Errorf("passes, but is said to fail: %s", reason)
		case sign != "":
			if !strings.Contains(err.Error(), sign) {
				t.Errorf("got %v, want an error with %q", err, sign)
			}
			row.Result = "no: " + reason
		}
		results.add(row)
	})
}
