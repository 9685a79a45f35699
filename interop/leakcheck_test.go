//go:build integration

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const leakPage = "../docs/leakcheck.md"

// leaks are the rows of that page that this run found out.
var leaks leakRows

type leakRows struct {
	mu   sync.Mutex // guards what follows
	rows []Leak
	gaps bool // a client is missing: the rows are not all there are
}

// settle writes the page or holds it against the rows. A run without any is one
// of other tests.
func (l *leakRows) settle(mode string, green bool) error {
	switch {
	case mode == "" || len(l.rows) == 0 || l.gaps:
		return nil
	case mode == "write" && !green:
		return fmt.Errorf("%s is left as it is: a test failed", leakPage)
	case mode == "write":
		return os.WriteFile(leakPage, []byte(leakText(l.rows)), 0o644)
	}
	data, err := os.ReadFile(leakPage)
	if err != nil {
		return err
	}
	diff, err := LeakDifferences(string(data), l.rows)
	if err == nil && len(diff) > 0 {
		err = fmt.Errorf("%s does not say what this run found (make compat writes it):\n%s", leakPage, strings.Join(diff, "\n"))
	}
	return err
}

func leakText(rows []Leak) string {
	return "# What leakcheck found\n\n" +
		"`postern leakcheck -- CMD` runs a client three times against a simulated device that counts; see [cli.md](cli.md#leakcheck).\n" +
		"This is what it counted of unmodified clients of others. `make compat` runs them and writes this page; nobody edits it.\n" +
		"`make test` runs them again and fails where a number differs.\n\n" +
		"- *logins*, *sessions left*, *two credentials*: with everything as it should be, the sessions that the client made, those that lived\n" +
		"  when it had ended, and the requests that carried two credentials. Calls with HTTP Basic make no session.\n" +
		"- *wrong password sent*: with a wrong password, how often it went out. Some devices lock an account after three.\n" +
		"- *to an unknown device*: with another device in the place of the right one, whose certificate no CA of the client knows, the requests\n" +
		"  with a credential that went there.\n\n" +
		"The programs for the libraries are in `interop/clients/leak.py`; for the command lines *what it does* is what they were told. curl is the one\n" +
		"that the machine has, and its lines are recipes as people write them.\n\n" +
		fmt.Sprintf("Written on %s, %s/%s, Python %s.\n\n", time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, versions()["python"]) +
		LeakTable(rows)
}

// A watched client is one that leakcheck runs.
type watched struct {
	client, what string
	command      []string
}

const curlLogin = `set -e
token=$(curl -s --cacert "$POSTERN_CA_FILE" -D - -o /dev/null -H 'Content-Type: application/json' \
	-d "{\"UserName\": \"$POSTERN_USER\", \"Password\": \"$POSTERN_PASSWORD\"}" "$POSTERN_URL/redfish/v1/SessionService/Sessions" | tr -d '\r')
at=$(echo "$token" | sed -n 's/^[Ll]ocation: //p'); token=$(echo "$token" | sed -n 's/^[Xx]-[Aa]uth-[Tt]oken: //p')
curl -sf --cacert "$POSTERN_CA_FILE" -H "X-Auth-Token: $token" "$POSTERN_URL/redfish/v1/Systems"
`

// watchedClients are the clients of docs/leakcheck.md.
func watchedClients(t *testing.T) []watched {
	python, tool := venv(t, "python"), venv(t, "redfishtool")
	leak, err := filepath.Abs("clients/leak.py")
	if err != nil {
		t.Fatal(err)
	}
	shell := func(text string) []string { return []string{"sh", "-c", text} }
	redfishtool := tool + ` -r $POSTERN_HOST -u $POSTERN_USER -p $POSTERN_PASSWORD -T 30 -S Always `
	delete := `case $at in http*) ;; *) at=$POSTERN_URL$at;; esac
curl -sf --cacert "$POSTERN_CA_FILE" -X DELETE -H "X-Auth-Token: $token" "$at"`
	return []watched{
		{"redfish", "session, one read, logout; cafile given", []string{python, leak, "redfish-logout"}},
		{"redfish", "session, one read, no logout; cafile given", []string{python, leak, "redfish-forget"}},
		{"redfish", "session, one read, logout; no cafile, which is its default", []string{python, leak, "redfish-default"}},
		{"redfish", "Basic, one read; cafile given", []string{python, leak, "redfish-basic"}},
		{"redfish.aio", "session, one read, logout; CA given", []string{python, leak, "aio"}},
		{"sushy", "session or Basic, its default, as Ironic; CA given", []string{python, leak, "sushy-auto"}},
		{"sushy", "session alone; CA given", []string{python, leak, "sushy-session"}},
		{"sushy", "session alone, ended without its finalizer; CA given", []string{python, leak, "sushy-killed"}},
		{"sushy", "session or Basic; verify=False", []string{python, leak, "sushy-unverified"}},
		{"sushy", "Basic; CA given", []string{python, leak, "sushy-basic"}},
		{"redfishtool", "-S Always Systems list", shell(redfishtool + "Systems list")},
		{"redfishtool", "-S Always -A Session Systems list", shell(redfishtool + "-A Session Systems list")},
		{"redfish_utilities", "rf_raw_request.py -req /redfish/v1/Systems", shell(python + " " + venv(t, "rf_raw_request.py") +
			` -u $POSTERN_USER -p $POSTERN_PASSWORD -r $POSTERN_URL -req /redfish/v1/Systems`)},
		{"curl", "--cacert, -u, one read", shell(`curl -sf --cacert "$POSTERN_CA_FILE" -u "$POSTERN_USER:$POSTERN_PASSWORD" "$POSTERN_URL/redfish/v1/Systems"`)},
		{"curl", "-k, -u, one read", shell(`curl -sfk -u "$POSTERN_USER:$POSTERN_PASSWORD" "$POSTERN_URL/redfish/v1/Systems"`)},
		{"curl", "--cacert: login, one read, DELETE", shell(curlLogin + delete)},
		{"curl", "--cacert: login, one read", shell(curlLogin)},
	}
}

// What real clients do with sessions and passwords is counted, and told on a
// page of its own.
func TestLeakcheck(t *testing.T) {
	t.Parallel()
	tool(t, "curl")
	for _, c := range watchedClients(t) {
		t.Run(c.client+" "+c.what, func(t *testing.T) {
			cmd := exec.Command(binary(t), append([]string{"leakcheck", "--quiet", "--limit", "60s", "-o", "json", "--"}, c.command...)...)
			cmd.Env, cmd.Dir = cleanEnv(), t.TempDir()
			var errs strings.Builder
			cmd.Stderr = &errs
			out, err := cmd.Output()
			var r struct {
				Runs []struct {
					Name                                                 string
					Logins, Left, Double, Refused, Basic, Calls, Secrets int
					Error                                                string
				}
			}
			if json.Unmarshal(out, &r) != nil || len(r.Runs) != 3 {
				leaks.missing()
				t.Fatalf("leakcheck: %v: %s%s", err, out, &errs)
			}
			for _, run := range r.Runs {
				if run.Error != "" {
					t.Errorf("%s: %s", run.Name, run.Error)
				}
			}
			plain := r.Runs[0]
			leaks.add(Leak{c.client, versions()[c.client], c.what, plain.Logins, plain.Left, plain.Double, r.Runs[1].Refused, r.Runs[2].Secrets})
		})
	}
}

func (l *leakRows) add(r Leak) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = append(l.rows, r)
}

func (l *leakRows) missing() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gaps = true
}
