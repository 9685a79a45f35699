package authority

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/audit"
)

// crashDir is set where the test binary runs as the server that is to be killed.
const crashDir = "POSTERN_TEST_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		serveUntilKilled(dir)
	}
	os.Exit(m.Run())
}

// serveUntilKilled logs in and out, and changes an account, and writes a line when
// it begins something and one when it is told that it is done.
func serveUntilKilled(dir string) {
	h := buildIn(&fatal{}, dir, Config{})
	h.instant()
	var mu sync.Mutex
	say := func(verb, id string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Println(verb, id)
	}
	ctx := context.Background()
	for g, name := range []auth.AccountName{"ann", "ann", "root", "root"} {
		go func() {
			var kept []string
			for i := 0; ; i++ {
				at := attempt(name, good)
				at.SessionID = fmt.Sprintf("%s-%d-%d-%d", name, os.Getpid(), g, i)
				at.Token = crashToken(at.SessionID)
				say("making", at.SessionID)
				if _, err := h.Login(ctx, at); err != nil {
					continue // its account changed again and again
				}
				say("made", at.SessionID)
				if kept = append(kept, at.SessionID); len(kept) < 5 {
					continue
				}
				say("ending", kept[0])
				err := h.Logout(ctx, auth.Principal{Role: auth.Administrator}, kept[0])
				if err == nil || errors.Is(err, auth.ErrNoSession) { // by the change of its account
					say("ended", kept[0])
				}
				kept = kept[1:]
			}
		}()
	}
	roles := []auth.Role{auth.Operator, auth.ReadOnly}
	for i := 0; ; i++ {
		say("changing", "ann")
		if err := h.change(ctx, account.Change{Role: new(roles[i%2])}, ""); err != nil {
			panic(err)
		}
		say("changed", "ann")
		time.Sleep(15 * time.Millisecond)
	}
}

func crashToken(id string) auth.Secret { return auth.NewSecret("0123456789abcdef" + id) }

// fatal is the testing.TB of a process that is no test.
type fatal struct{ testing.TB }

func (*fatal) Helper()               {}
func (*fatal) Cleanup(func())        {}
func (*fatal) Fatal(a ...any)        { panic(fmt.Sprint(a...)) }
func (*fatal) Fatalf(string, ...any) {}

// TestKill: kill -9 takes nothing back that was acknowledged: no login, no logout,
// no change of an account with the end of its sessions.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	build := buildIn(t, dir, Config{})
	build.leave()
	for round := range 4 {
		lines := killed(t, dir, 150+rand.IntN(300))
		h := buildIn(t, dir, Config{})
		if err := h.Recover(t.Context(), h.log.Pending()); err != nil {
			t.Fatal(err)
		}
		checkAcknowledged(t, round, h, lines)
		for _, s := range h.Sessions("bmc1") { // room for the next round
			wantErr(t, "logout", h.Logout(t.Context(), auth.Principal{Role: auth.Administrator}, s.ID), nil)
		}
		h.leave()
	}
	checkPairs(t, dir)
}

// killed runs the server in dir, kills it when it has said n lines, and returns
// all that it said.
func killed(t *testing.T, dir string, n int) (lines []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for sc := bufio.NewScanner(out); sc.Scan(); {
		if lines = append(lines, sc.Text()); len(lines) == n {
			cmd.Process.Kill()
		}
	}
	if cmd.Wait(); len(lines) < n {
		t.Fatalf("the server ended by itself after %d lines", len(lines))
	}
	return lines
}

// A claim is what the lines say of one session.
type claim struct {
	changes          int // of its account, done before its making
	made, ending     bool
	changed          bool // a change that began after it was made was acknowledged
	ended            bool
	beforeThisChange bool // made before the change that is under way
}

// checkAcknowledged plays the lines through. A session that was made is alive,
// unless its end or a change of its account had at least begun; one that had
// ended, by a logout or by a change, is not.
func checkAcknowledged(t *testing.T, round int, h *house, lines []string) {
	t.Helper()
	all := map[string]*claim{}
	count := map[string]int{}
	for _, line := range lines {
		verb, id, _ := strings.Cut(line, " ")
		count[verb]++
		c := all[id]
		switch verb {
		case "making":
			all[id] = &claim{changes: count["changed"]}
		case "made":
			c.made = true
		case "ending":
			c.ending = true
		case "ended":
			c.ended = true
		}
		for id, c := range all {
			switch {
			case !strings.HasPrefix(id, "ann"):
			case verb == "changing":
				c.beforeThisChange = c.made
			case verb == "changed" && c.beforeThisChange:
				c.changed = true
			}
		}
	}
	alive := 0
	for id, c := range all {
		_, err := h.Lookup("bmc1", crashToken(id).Reveal())
		if err == nil {
			alive++
		}
		if untouched := c.changes == count["changing"] || strings.HasPrefix(id, "root"); c.made && !c.ending && untouched && err != nil {
			t.Errorf("round %d: %s was acknowledged and is gone", round, id)
		}
		if (c.ended || c.changed) && err == nil {
			t.Errorf("round %d: %s had ended and is back", round, id)
		}
	}
	t.Logf("round %d: %v, %d alive", round, count, alive)
	if count["ended"] == 0 || count["changed"] == 0 || alive == 0 {
		t.Errorf("round %d shows nothing", round)
	}
}

// checkPairs: after the last start no session's start is left without the
// outcome of its attempt, and the chain is whole.
func checkPairs(t *testing.T, dir string) {
	t.Helper()
	open := map[string]bool{}
	for r, err := range audit.Read(filepath.Join(dir, "audit"), audit.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		switch r.Event {
		case audit.SessionStart:
			open[r.Ref] = true
		case audit.Attempt, audit.SessionEnd:
			delete(open, r.Ref)
		}
	}
	for id := range open {
		t.Errorf("%s has a start and nothing else", id)
	}
	if r, err := audit.Verify(filepath.Join(dir, "audit"), auditKey); err != nil || r.Bad != nil {
		t.Errorf("verify: %v, %+v", err, r)
	}
}
