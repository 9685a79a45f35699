//go:build torture

package lease_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A mutation is a change to a source file of ours: a text that is there exactly
// once, and what stands in its place.
type mutation struct{ file, text, instead string }

// mutants are ways to break the promises, each of which the model has to notice.
var mutants = []struct {
	name    string
	changes []mutation
}{
	{"the intent is committed after the login", []mutation{
		{"open.go", "	if err := m.store.IntendLease(ctx, row, budget, m.now()); err != nil {\n", "	if err := ctx.Err(); err != nil && budget > 0 {\n"},
		{"open.go", "	l.used.Store(m.now().UnixNano())\n	if login.Method", "	l.used.Store(m.now().UnixNano())\n	if err := m.store.IntendLease(ctx, row, 1000, m.now()); err != nil {\n		return nil, err\n	}\n	if login.Method"},
	}},
	{"the token is used before it is committed", []mutation{
		{"open.go", "	row.State, row.Location, row.DeviceID, row.DeviceDate = Held", "	t.Device.Touch(ctx, login)\n	row.State, row.Location, row.DeviceID, row.DeviceDate = Held"},
	}},
	{"the logout is sent before it is committed", []mutation{
		{"end.go", "	if err == nil {\n		err = m.store.MoveLease(ctx, r.ID, []State{Intent", "	sent := send()\n	if err == nil {\n		err = m.store.MoveLease(ctx, r.ID, []State{Intent"},
		{"end.go", "	err = send()\n", "	err = sent\n"},
	}},
	{"the login is recorded after it", []mutation{
		{"open.go", "	if err := m.audit.Append(ctx, record(\"lease.login\", row)); err != nil {\n		return fmt.Errorf(\"audit: %w\", err)\n	}\n", "	if m.audit.Note(record(\"lease.login\", row)); false {\n		return fmt.Errorf(\"audit\")\n	}\n"},
	}},
	{"the logout is recorded after it", []mutation{
		{"end.go", "	err := m.audit.Append(ctx, rec)\n", "	m.audit.Note(rec)\n	var err error\n"},
	}},
	{"what was recorded and committed is closed as not done", []mutation{
		{"manager.go", "		if state != \"\" {\n			end.Outcome", "		if state == \"none\" {\n			end.Outcome"},
	}},
	{"a login that a crash cut is taken for not done", []mutation{
		{"manager.go", "[]State{Intent}, Owed, whyLoginCut", "[]State{Intent}, Ended, whyLoginCut"},
	}},
	{"a login whose answer was lost is taken for not done", []mutation{
		{"open.go", "	return le.Outcome == auth.Unknown\n", "	return false\n"},
	}},
	{"a logout that a crash cut is taken for done", []mutation{
		{"manager.go", "[]State{Ending}, Owed, whyLogoutCut", "[]State{Ending}, Ended, whyLogoutCut"},
	}},
	{"a refused token is taken for an ended session", []mutation{
		{"end.go", "		to, reason = Owed, whyUnsure\n", "		to, reason = Ended, whyUnsure\n"},
	}},
	{"a DELETE with foreign rights is repeated", []mutation{
		{"sweep.go", "func() error { return by.device.End(ctx, by.login, location) }", "func() error {\n		if err := by.device.End(ctx, by.login, location); err == nil {\n			return nil\n		}\n		return by.device.End(ctx, by.login, location)\n	}"},
	}},
	{"one of two sessions with our nonce is ended", []mutation{
		{"sweep.go", "	case len(ours) == 1 && (r.Location", "	case len(ours) >= 1 && (r.Location"},
	}},
	{"a session is ended by its id, whoever has it now", []mutation{
		{"sweep.go", "	case keeps && context != nonce(r.ID):\n", "	case context != nonce(r.ID):\n		return listedVerdict{end: r.Location}\n	case keeps && context != nonce(r.ID):\n"},
	}},
	{"the sweep takes the account of another address for ours", []mutation{
		{"sweep.go", "s.Source != \"\" && s.Source == address && !named", "(s.Source == address || true) && !named"},
	}},
	{"the sweep gives up before a late login", []mutation{
		{"sweep.go", "	loginGrace = 2 * time.Minute\n", "	loginGrace = time.Second\n"},
	}},
	{"expired long before the device says so", []mutation{
		{"open.go", "	return now.After(last.Add(idle + touchEvery + expiryMargin))\n", "	return now.After(last.Add(idle / 60))\n"},
	}},
	{"the start calls the device", []mutation{
		{"pool.go", "	p.cur = l\n	return true\n", "	l.device.Touch(ctx, l.login)\n	p.cur = l\n	return true\n"},
	}},
	{"owed leases do not count against the budget", []mutation{
		{"../store/lease.go", "where domain = ? and state <> 'ended'`, r.Domain).Scan(&open)", "where domain = ? and state not in ('ended', 'owed')`, r.Domain).Scan(&open)"},
	}},
	{"an attempt that a crash cut is forgotten", []mutation{
		{"../store/attempt.go", "	if err := s.settleForgotten(ctx, tx, k, at); err != nil {\n			return err\n		}\n", "	if _, err := tx.ExecContext(ctx, `delete from login_attempt where outcome = 'pending'`); err != nil {\n			return err\n		}\n"},
	}},
	{"a proven secret stays proven when it is refused", []mutation{
		{"../store/attempt.go", "\"proven = 0, refused = refused + 1, refused_at = ?\"", "\"refused = refused + 1, refused_at = ?\""},
	}},
	{"an acceptance is not kept", []mutation{
		{"../store/attempt.go", "\"proven = 1, refused = 0, refused_at = 0, unknown = 0\"", "\"refused = refused\""},
	}},
	{"a lost answer counts for a proven secret", []mutation{
		{"../store/attempt.go", "			counts = counts && !h.Proven\n", "			counts = counts || h.Proven\n"},
		{"allowance.go", "	case h.Proven:\n		return nil\n", "	case h.Proven && h.Unknown == 0:\n		return nil\n"},
	}},
	{"three refusals are allowed", []mutation{
		{"allowance.go", "	maxRefused = 2\n", "	maxRefused = 3\n"},
	}},
	{"the device's threshold is not heeded", []mutation{
		{"allowance.go", "min(maxRefused, l.threshold-1)", "min(maxRefused, l.threshold)"},
	}},
	{"a login leaves before it is reserved", []mutation{
		{"open.go", "	if err := m.reserve(ctx, row.ID, t, k, opt.forced); err != nil {\n		return nil, err\n	}\n", "	defer m.reserve(ctx, row.ID, t, k, true)\n"},
	}},
}

// TestModelMutants breaks the package, one promise at a time, and wants the model
// to notice each, in a form between short and long. It takes minutes: the long form runs it.
func TestModelMutants(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			out, passed := mutated(t, m.changes)
			if passed {
				t.Fatal("nothing is noticed")
			}
			for line := range strings.Lines(out) {
				if strings.Contains(line, "model_test.go") && !strings.Contains(line, "crash points") {
					t.Logf("noticed: %s", strings.TrimSpace(line))
					return
				}
			}
			t.Errorf("it fails for another reason: %s", out)
		})
	}
}

// mutated runs the model over sources with changes; the tree
// itself is left alone.
func mutated(t *testing.T, changes []mutation) (out string, passed bool) {
	dir := t.TempDir()
	texts, replace := map[string]string{}, map[string]string{}
	for _, c := range changes {
		path, err := filepath.Abs(c.file)
		if err != nil {
			t.Fatal(err)
		}
		text, ok := texts[path]
		if !ok {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text = string(data)
		}
		if n := strings.Count(text, c.text); n != 1 {
			t.Fatalf("%s holds %q %d times, want once: the mutation has to follow the code", c.file, c.text, n)
		}
		texts[path] = strings.Replace(text, c.text, c.instead, 1)
	}
	for path, text := range texts {
		replace[path] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(replace[path], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	plan, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(overlay, plan, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := exec.Command("go", "test", "-count", "1", "-overlay", overlay, "-run", "^TestModel$", "-timeout", "5m", ".", "-wide").CombinedOutput()
	return string(got), err == nil
}
