//go:build integration

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A record of the audit, as `postern audit show --output json` prints it.
type record struct {
	Time   time.Time
	Event  string
	Method string
	Path   string
}

// records reads the whole audit of a gateway that does not run.
func (g *gateway) records(w *world) []record {
	w.t.Helper()
	out, err := w.run("audit", "show", "--data", g.data, "--output", "json")
	if err != nil {
		w.t.Fatal(err)
	}
	var all []record
	dec := json.NewDecoder(strings.NewReader(out))
	for {
		var r record
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			w.t.Fatalf("audit show: %v", err)
		}
		all = append(all, r)
	}
}

// Promise 3: no POST reaches the device that is not on record, even if the
// gateway dies under load. Each POST has a path of its own; the device knows
// none of them, and that is all the same.
func TestCrashPosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim()
	g := w.gateway(d.target()).up(w)
	for kill := range 6 {
		stop := make(chan struct{})
		var workers sync.WaitGroup
		for worker := range 4 {
			e, c := g.endpoint, g.client(t)
			c.Timeout = 5 * time.Second
			workers.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					path := fmt.Sprintf("%s/none/Actions/ComputerSystem.Reset/%d-%d-%d", systems, kill, worker, n)
					e.call(c, http.MethodPost, path, map[string]string{"ResetType": "On"})
				}
			})
		}
		time.Sleep(time.Duration(300+70*kill) * time.Millisecond)
		g.kill()
		close(stop)
		workers.Wait()
		g.up(w)
	}
	g.stop()

	recorded := map[string]time.Time{}
	for _, r := range g.records(w) {
		if r.Method == http.MethodPost && r.Event == "call.begin" {
			recorded[r.Path] = r.Time
		}
	}
	posts := slices.DeleteFunc(d.lines(), func(l line) bool {
		return l.Method != http.MethodPost || !strings.HasPrefix(l.Path, systems)
	})
	for _, p := range posts {
		if at, ok := recorded[p.Path]; !ok {
			t.Errorf("no record of what the device got: %s %s at %v", p.Method, p.Path, p.Time)
		} else if at.After(p.Time) {
			t.Errorf("%s was recorded at %v, after the device had answered at %v", p.Path, at, p.Time)
		}
	}
	t.Logf("%d POSTs at the device, %d on record, 6 kills", len(posts), len(recorded))
	if len(posts) < 60 {
		t.Errorf("%d POSTs reached the device: too few to show anything", len(posts))
	}
	if out, err := w.run("audit", "verify", "--data", g.data); err != nil {
		t.Errorf("the audit does not verify after the kills: %v: %s", err, out)
	}
}
