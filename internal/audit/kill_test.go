package audit

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const killDir = "POSTERN_AUDIT_TEST_DIR"

// TestKilledChild is no test of its own: it is the process that TestKill kills.
func TestKilledChild(t *testing.T) {
	dir := os.Getenv(killDir)
	if dir == "" {
		return
	}
	cfg := config(dir, 1)
	cfg.SegmentBytes = 4000
	l := mustOpen(t, cfg, nil)
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				ref := fmt.Sprintf("%d.%d.%d", l.Epoch(), worker, i)
				mustAppend(t, l, Record{Event: CallBegin, Ref: ref})
				fmt.Println("acknowledged", ref)
				if i%3 > 0 {
					l.Note(Record{Event: CallEnd, Ref: ref})
				}
			}
		}()
	}
	select {}
}

// What was acknowledged before a kill -9 is in the log, the log verifies, and the
// next start closes what was open.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var acknowledged []string
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledChild$")
		cmd.Env = append(os.Environ(), killDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if ref, ok := strings.CutPrefix(lines.Text(), "acknowledged "); ok {
				acknowledged = append(acknowledged, ref)
			}
			if n == 50+17*round {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
		mustVerify(t, dir)
	}
	mustClose(t, mustOpen(t, config(dir, 1), nil))
	if r := mustVerify(t, dir); r.Epochs != 4 {
		t.Errorf("got %d epochs, want 4", r.Epochs)
	}
	begun, ended := map[string]bool{}, map[string]int{}
	for r, err := range Read(dir, Filter{Event: "call."}) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Event == CallBegin {
			begun[r.Ref] = true
		} else {
			ended[r.Ref]++
		}
	}
	if len(acknowledged) < 150 {
		t.Fatalf("only %d records were acknowledged", len(acknowledged))
	}
	for _, ref := range acknowledged {
		if !begun[ref] {
			t.Errorf("%s was acknowledged and is not there", ref)
		}
	}
	for ref := range begun {
		if ended[ref] != 1 {
			t.Errorf("%s has %d ends, want 1", ref, ended[ref])
		}
	}
	if !slices.ContainsFunc(files(t, dir), func(f string) bool { return strings.HasSuffix(f, "-0002.jsonl") }) {
		t.Error("no segment was filled")
	}
}
