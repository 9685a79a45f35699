//go:build integration

package interop

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What `make run` leaves on the screen works when it is pasted into another
// terminal, line by line, and what it promises of the two runs is true.
func TestDemo(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl", "jq", "awk"} {
		tool(t, program)
	}
	w := newWorld(t)
	started := time.Now()
	p := w.start("demo", binary(t), "demo", "--data", w.path("demo"))
	const last = "Ctrl-C ends it."
	for !strings.Contains(w.read(p.output), last) {
		if time.Since(started) > time.Minute || p.wait(50*time.Millisecond) {
			t.Fatalf("the demo is not there after %v: %s", time.Since(started), p.tail())
		}
	}
	t.Logf("the demo took %v until it could be tried", time.Since(started).Round(time.Millisecond))

	pasted := pastable(w.read(p.output))
	for _, want := range []string{"export bmc_ip=", "TokenAndUrl=(", "postern audit show"} {
		if !strings.Contains(pasted, want) {
			t.Fatalf("the screen does not say %q: %s", want, w.read(p.output))
		}
	}
	bin := filepath.Dir(binary(t))
	out, err := runClient(t, []string{"PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH")}, "bash", "-c", pasted)
	if err != nil {
		t.Errorf("the pasted lines: %v", err)
	}
	for _, want := range []string{"HTTP/1.1 401 ", "NoValidSession", "HTTP/1.1 200 ", `"#ComputerSystemCollection.ComputerSystemCollection"`,
		`"UserName": "admin"`, `"Members@odata.count"`, "HTTP/1.1 204 ", "call"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the pasted lines do not show %q: %s", want, out)
		}
	}
	p.stop()
}

// pastable are the lines of code on the screen up to those for one's own BMC.
func pastable(screen string) string {
	_, screen, _ = strings.Cut(screen, "Postern stays up.")
	screen, _, _ = strings.Cut(screen, "With your own BMC")
	var code []string
	for line := range strings.Lines(screen) {
		if strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "  The body of a login") {
			code = append(code, line)
		}
	}
	return strings.Join(code, "")
}

// The two runs of the demo: direct somebody is refused and something is lost;
// through Postern nobody is, and nothing.
func TestDemoOnce(t *testing.T) {
	w := newWorld(t)
	out, err := w.run("demo", "--once", "--output", "json", "--data", w.path("demo"))
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Direct, Postern struct {
			Served  int     `json:"served"`
			Refused int     `json:"refused"`
			Leaked  int     `json:"sessions_leaked"`
			Locked  int     `json:"locked_accounts"`
			Logins  int     `json:"device_logins"`
			Seconds float64 `json:"seconds"`
		}
		Kept bool
	}
	if err := json.Unmarshal([]byte(out), &result); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	t.Logf("%+v", result)
	if !result.Kept || result.Postern.Leaked != 0 || result.Postern.Locked != 0 {
		t.Errorf("a promise was not kept: %s", out)
	}
	if result.Direct.Served >= result.Postern.Served {
		t.Errorf("direct %d were served, through Postern %d", result.Direct.Served, result.Postern.Served)
	}
}
