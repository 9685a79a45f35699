package sim

import (
	"strings"
	"sync"
	"testing"
	"time"
)

// A handClock is moved by the test.
type handClock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *handClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *handClock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func startByHand(t *testing.T) (*rig, *handClock) {
	c := &handClock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	r := start(t, Config{Now: c.Now})
	t.Cleanup(r.Close)
	return r, c
}

const simpleUpdate = updatePath + "/Actions/UpdateService.SimpleUpdate"

func TestTaskProgress(t *testing.T) {
	t.Parallel()
	r, clock := startByHand(t)
	p := r.want(202, "POST", simpleUpdate, `{"ImageURI":"https://images.example/fw/bmc-3.1.4.bin?key=secret","Targets":["`+managerPath+`"]}`)
	monitor := p.header.Get("Location")
	if monitor != monitorsPath+"/1" || p.header.Get("Retry-After") != "1" || p.member("TaskState") != `"Running"` {
		t.Fatalf("accepted: %s %v", p.body, p.header)
	}
	if strings.Contains(string(p.body), "secret") {
		t.Errorf("the query of an image is shown: %s", p.body)
	}
	clock.add(updateTime / 2)
	if p = r.want(202, "GET", monitor, ""); p.header.Get("Location") != monitor || p.member("PercentComplete") != "50" {
		t.Errorf("half way: %s", p.body)
	}
	if p = r.want(200, "GET", inventoryPath+"/BMC", ""); p.member("Version") != `"1.0.0"` {
		t.Errorf("too early: %s", p.body)
	}
	clock.add(updateTime / 2)
	if p = r.want(200, "GET", monitor, ""); p.messages() != "UpdateSuccessful" {
		t.Errorf("outcome: %s", p.body)
	}
	p = r.want(200, "GET", tasksPath+"/1", "")
	for name, want := range map[string]string{
		"TaskState": `"Completed"`, "TaskStatus": `"OK"`, "PercentComplete": "100", "Id": `"1"`,
		"StartTime": `"2026-03-01T12:00:00Z"`, "EndTime": `"2026-03-01T12:00:04Z"`, "TaskMonitor": `"` + monitor + `"`,
	} {
		if got := p.member(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	for path, property := range map[string]string{inventoryPath + "/BMC": "Version", managerPath: "FirmwareVersion"} {
		if p = r.want(200, "GET", path, ""); p.member(property) != `"3.1.4"` {
			t.Errorf("%s of %s: %s", property, path, p.member(property))
		}
	}
	r.want(204, "DELETE", tasksPath+"/1", "")
	r.want(404, "GET", monitor, "")
	if p = r.want(200, "GET", tasksPath, ""); p.member("Members@odata.count") != "0" {
		t.Errorf("tasks: %s", p.body)
	}
}

// A task ends by its time alone, too, for those who listen and do not look.
func TestTaskEndsUnwatched(t *testing.T) {
	t.Parallel()
	r := start(t, Config{})
	t.Cleanup(r.Close)
	var done sync.WaitGroup
	done.Add(1)
	err := r.tasks.start(&task{name: "short", length: time.Millisecond, finish: func() []taskMessage {
		defer done.Done()
		return []taskMessage{{id: "A.1.0.B", severity: severityOK}}
	}})
	if err != nil {
		t.Fatal(err)
	}
	done.Wait()
}

func TestTaskWaitsForReset(t *testing.T) {
	t.Parallel()
	r, clock := startByHand(t)
	monitor := r.want(202, "POST", simpleUpdate, `{"ImageURI":"nfs://x/bios.bin","@Redfish.OperationApplyTime":"OnReset"}`).header.Get("Location")
	clock.add(time.Hour)
	if p := r.want(202, "GET", monitor, ""); p.member("TaskState") != `"Pending"` {
		t.Errorf("before the reset: %s", p.body)
	}
	r.want(204, "POST", systemPath+"/Actions/ComputerSystem.Reset", `{"ResetType":"ForceRestart"}`)
	clock.add(updateTime)
	r.want(200, "GET", monitor, "")
	if p := r.want(200, "GET", systemPath, ""); p.member("BiosVersion") != `"2.4.2"` {
		t.Errorf("after it: %s", p.member("BiosVersion"))
	}
}

func TestTaskCancelled(t *testing.T) {
	t.Parallel()
	r, clock := startByHand(t)
	for i, path := range []string{tasksPath, monitorsPath} {
		id := string(rune('1' + i))
		r.want(202, "POST", simpleUpdate, `{"ImageURI":"https://x/bmc.bin"}`)
		r.want(412, "DELETE", path+"/"+id, "", header("If-Match", `"other"`))
		r.want(204, "DELETE", path+"/"+id, "")
		clock.add(updateTime)
		r.want(404, "GET", tasksPath+"/"+id, "")
	}
	if p := r.want(200, "GET", managerPath, ""); p.member("FirmwareVersion") != `"1.0.0"` {
		t.Errorf("updated all the same: %s", p.member("FirmwareVersion"))
	}
}

func TestTasksAreBounded(t *testing.T) {
	t.Parallel()
	r, clock := startByHand(t)
	for range maxRunning {
		r.want(202, "POST", simpleUpdate, `{"ImageURI":"https://x/bmc.bin"}`)
	}
	if p := r.want(503, "POST", simpleUpdate, `{"ImageURI":"https://x/bmc.bin"}`); p.messages() != "ResourceInUse" || p.header.Get("Retry-After") == "" {
		t.Errorf("one too many at once: %s", p.body)
	}
	for range maxTasks {
		clock.add(updateTime)
		r.want(202, "POST", simpleUpdate, `{"ImageURI":"https://x/bmc.bin"}`)
	}
	r.want(404, "GET", tasksPath+"/1", "")
	if p := r.want(200, "GET", tasksPath, ""); p.member("Members@odata.count") != "20" {
		t.Errorf("tasks: %s", p.member("Members@odata.count"))
	}
}
