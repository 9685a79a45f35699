package sim

import (
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/postern/postern/redfish"
)

const (
	taskServicePath = rootPath + "/TaskService"
	tasksPath       = taskServicePath + "/Tasks"
	monitorsPath    = taskServicePath + "/TaskMonitors"
)

// Bounds of the tasks of a device: the oldest one that has ended makes room.
const (
	maxTasks   = 20
	maxRunning = 4
)

// taskRetry is what a client that waits for a task is told to wait.
const taskRetry = time.Second

// The states of a task in use (Task v1_7_4, TaskState).
const (
	taskPending   = "Pending"
	taskRunning   = "Running"
	taskCompleted = "Completed"
	taskException = "Exception"
	taskCancelled = "Cancelled"
)

// A task is work that takes its time. It advances with the device's clock, as
// it is looked at and when its time is up.
type task struct {
	id      string
	path    string
	monitor string
	name    string
	uri     string // of the request that asked for it
	length  time.Duration
	finish  func() []taskMessage // has the effect; one that is not OK is a failure
	pending bool                 // waits for a reset

	// Guarded by tasks.mu.
	state    string
	made     time.Time // true times; the device shows its own
	begun    time.Time // zero: not yet
	ended    time.Time
	percent  int
	messages []taskMessage
	timer    *time.Timer
}

// A taskMessage says what has become of a task.
type taskMessage struct {
	id, text, severity string
	args               []string
}

const (
	severityOK       = "OK"
	severityCritical = "Critical"
)

// tasks is a device's task service. Locks are taken in this order: mu, the
// event service's, the store's; finish is called with none.
type tasks struct {
	device *Device

	mu   sync.Mutex // guards what is in a task
	list []*task    // by age
	last int        // ids are never used again
}

// start begins a task, or lets it wait for a reset of the machine.
func (ts *tasks) start(t *task) error {
	ts.settle()
	now := ts.device.cfg.Now()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if !ts.room() {
		return &redfish.Problem{Status: http.StatusServiceUnavailable, Key: "ResourceInUse", RetryAfter: taskRetry}
	}
	ts.last++
	t.id = strconv.Itoa(ts.last)
	t.path, t.monitor = tasksPath+"/"+t.id, monitorsPath+"/"+t.id
	t.made, t.state = now, taskPending
	ts.list = append(ts.list, t)
	if !t.pending {
		ts.begin(t, now)
	}
	ts.show(t)
	return nil
}

// begin lets the time of a task run; ts.mu is held.
func (ts *tasks) begin(t *task, now time.Time) {
	t.begun, t.state = now, taskRunning
	t.timer = time.AfterFunc(t.length, ts.settle) // for whom nobody looks at
	ts.tell(t, "TaskStarted", "The task with Id '"+t.id+"' has started.", severityOK)
}

// tell publishes what a task does.
func (ts *tasks) tell(t *task, key, text, severity string) {
	ts.device.events.publish(occurrence{
		kind: eventStatusChange, messageID: taskRegistry + key, message: text, args: []string{t.id},
		severity: severity, origin: t.path, resource: "Task",
	})
}

// room makes place for one more task, if that can be; ts.mu is held.
func (ts *tasks) room() bool {
	running := 0
	for _, t := range ts.list {
		if t.ended.IsZero() {
			running++
		}
	}
	if running >= maxRunning {
		return false
	}
	if len(ts.list) >= maxTasks {
		i := slices.IndexFunc(ts.list, func(t *task) bool { return !t.ended.IsZero() })
		ts.drop(i)
	}
	return true
}

// drop forgets the i-th task; ts.mu is held.
func (ts *tasks) drop(i int) {
	t := ts.list[i]
	if t.timer != nil {
		t.timer.Stop()
	}
	ts.list = slices.Delete(ts.list, i, i+1)
	s := ts.device.store
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unset(t.path)
	ts.members()
}

// members makes the collection list what there is; both locks are held.
func (ts *tasks) members() {
	uris := make([]string, 0, len(ts.list))
	for _, t := range ts.list {
		uris = append(uris, t.path)
	}
	ts.device.store.setMembers(tasksPath, uris)
}

// released begins the tasks that have waited for a reset.
func (ts *tasks) released() {
	now := ts.device.cfg.Now()
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.list {
		if t.state == taskPending {
			ts.begin(t, now)
			ts.show(t)
		}
	}
}

// settle makes every task what it is by now.
func (ts *tasks) settle() {
	now := ts.device.cfg.Now()
	for _, t := range ts.advance(now) {
		messages := t.finish()
		ts.end(t, messages)
	}
}

// end closes a task whose work is done, well or not.
func (ts *tasks) end(t *task, messages []taskMessage) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if !slices.Contains(ts.list, t) { // cancelled, too late
		return
	}
	t.ended, t.messages = t.begun.Add(t.length), append(t.messages, messages...)
	key, text, severity := "TaskCompletedOK", "The task with Id '"+t.id+"' has completed.", severityOK
	t.state = taskCompleted
	if t.severity() != severityOK {
		key, text, severity = "TaskAborted", "The task with Id '"+t.id+"' has completed with errors.", severityCritical
		t.state = taskException
	}
	ts.show(t)
	ts.tell(t, key, text, severity)
}

// advance shows how far the tasks are, and returns those whose time is up, each
// of them once.
func (ts *tasks) advance(now time.Time) (due []*task) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.list {
		if t.state != taskRunning || t.percent == 100 {
			continue
		}
		percent := int(min(max(100*now.Sub(t.begun).Seconds()/t.length.Seconds(), 0), 100))
		switch {
		case percent == 100:
			due = append(due, t)
			t.percent = 100 // it is nobody else's to finish
		case percent != t.percent:
			t.percent = percent
			ts.show(t)
		}
	}
	return due
}

// severity is the worst of a task's messages.
func (t *task) severity() string {
	for _, m := range t.messages {
		if m.severity != severityOK {
			return m.severity
		}
	}
	return severityOK
}

// show writes the resource of a task; ts.mu is held.
func (ts *tasks) show(t *task) {
	d := ts.device
	at := func(when time.Time) string {
		if when.IsZero() {
			return ""
		}
		return when.Add(d.cfg.ClockOffset).UTC().Format(time.RFC3339)
	}
	shown := t.made
	if !t.begun.IsZero() {
		shown = t.begun
	}
	percent := t.percent
	if t.ended.IsZero() {
		percent = min(percent, 99) // the effect is not there yet
	}
	body := mustJSON(taskBody{
		ODataID: t.path, ODataType: "#Task.v1_7_4.Task", ID: t.id, Name: t.name, Monitor: t.monitor,
		State: t.state, Status: t.severity(), Start: at(shown), End: at(t.ended), Percent: percent,
		Messages: taskWords(t.messages),
		Payload:  taskPayload{http.MethodPost, t.uri, []string{}},
	})
	s := d.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at(t.path) == nil {
		s.set(t.path, body)
		ts.members()
		return
	}
	s.set(t.path, body)
}

type (
	taskBody struct {
		ODataID   string      `json:"@odata.id"`
		ODataType string      `json:"@odata.type"`
		ID        string      `json:"Id"`
		Name      string      `json:"Name"`
		Monitor   string      `json:"TaskMonitor"`
		State     string      `json:"TaskState"`
		Status    string      `json:"TaskStatus"`
		Start     string      `json:"StartTime"`
		End       string      `json:"EndTime,omitempty"`
		Percent   int         `json:"PercentComplete"`
		Messages  []taskWord  `json:"Messages"`
		Payload   taskPayload `json:"Payload"`
	}
	taskPayload struct {
		Operation string   `json:"HttpOperation"`
		Target    string   `json:"TargetUri"`
		Headers   []string `json:"HttpHeaders"`
	}
)

// A taskWord is a message in a task, without the members that are deprecated.
type taskWord struct {
	ODataType  string   `json:"@odata.type"`
	MessageID  string   `json:"MessageId"`
	Message    string   `json:"Message"`
	Args       []string `json:"MessageArgs"`
	Severity   string   `json:"MessageSeverity"`
	Resolution string   `json:"Resolution"`
}

func taskWords(messages []taskMessage) []taskWord {
	list := make([]taskWord, 0, len(messages))
	for _, m := range messages {
		list = append(list, taskWord{"#Message.v1_1_1.Message", m.id, m.text, m.args, m.severity, "None."})
	}
	return list
}

// wireMessages is the same for an answer.
func wireMessages(messages []taskMessage) []redfish.Message {
	list := make([]redfish.Message, 0, len(messages))
	for _, m := range messages {
		list = append(list, redfish.Message{
			ODataType: "#Message.v1_1_1.Message", MessageID: m.id, Message: m.text, MessageArgs: m.args,
			Severity: m.severity, MessageSeverity: m.severity, Resolution: "None.",
		})
	}
	return list
}

// find returns the task at path, which is its own or its monitor's.
func (ts *tasks) find(path string) *task {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.list {
		if t.path == path || t.monitor == path {
			return t
		}
	}
	return nil
}

// endpoint is what is at a path of the task service beside its resource.
func (ts *tasks) endpoint(path string) endpoint {
	d := ts.device
	switch t := ts.find(path); {
	case t == nil:
		return nil
	case t.path == path:
		return endpoint{http.MethodGet: d.read, http.MethodHead: d.read, http.MethodDelete: ts.remove}
	}
	return endpoint{http.MethodGet: ts.monitor, http.MethodHead: ts.monitor, http.MethodDelete: ts.remove}
}

// accepted answers a request whose work has become a task: where to ask for
// the outcome, and how long to wait before that.
func (ts *tasks) accepted(w http.ResponseWriter, r *http.Request, t *task) error {
	f := ts.device.store.get(t.path)
	if f == nil {
		return missing(t.path)
	}
	w.Header().Set("Location", t.monitor)
	w.Header().Set("Retry-After", strconv.Itoa(int(taskRetry/time.Second)))
	redfish.WriteResource(w, r, http.StatusAccepted, f.body, "")
	return nil
}

// monitor answers for the outcome: 202 as long as there is none, then what the
// request itself would have been answered (DSP0266 1.20.0, 12.2).
func (ts *tasks) monitor(w http.ResponseWriter, r *http.Request, path string) error {
	t := ts.find(path)
	if t == nil {
		return missing(path)
	}
	ts.mu.Lock()
	state, messages := t.state, wireMessages(t.messages)
	ts.mu.Unlock()
	status := http.StatusOK
	switch state {
	case taskCompleted:
	case taskException:
		status = http.StatusBadRequest // it was the image
	default:
		return ts.accepted(w, r, t)
	}
	last := messages[len(messages)-1]
	redfish.WriteResource(w, r, status, mustJSON(redfish.Error{Error: redfish.ErrorBody{
		Code: last.MessageID, Message: last.Message, ExtendedInfo: messages,
	}}), "")
	return nil
}

// remove deletes a task; one that has not ended is cancelled by it.
func (ts *tasks) remove(w http.ResponseWriter, r *http.Request, path string) error {
	ts.mu.Lock()
	i := slices.IndexFunc(ts.list, func(t *task) bool { return t.path == path || t.monitor == path })
	if i < 0 {
		ts.mu.Unlock()
		return missing(path)
	}
	t := ts.list[i]
	if f := ts.device.store.get(t.path); f != nil {
		if err := redfish.CheckMatch(r, f.etag); err != nil {
			ts.mu.Unlock()
			return err
		}
	}
	cancelled := t.ended.IsZero()
	if cancelled {
		t.state = taskCancelled
	}
	ts.drop(i)
	ts.mu.Unlock()
	if cancelled {
		ts.tell(t, "TaskCancelled", "Work on the task with Id '"+t.id+"' has been halted prior to completion due to an explicit request.", "Warning")
	}
	ts.tell(t, "TaskRemoved", "The task with Id '"+t.id+"' has been removed.", severityOK)
	return ts.device.done(w)
}

// close stops the timers; what has not ended by then ends when it is looked at.
func (ts *tasks) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, t := range ts.list {
		if t.timer != nil {
			t.timer.Stop()
		}
	}
}
