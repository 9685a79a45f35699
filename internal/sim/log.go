package sim

import (
	"strconv"
	"sync"

	"github.com/postern/postern/redfish"
)

// maxLog is MaxNumberOfRecords of the log: the oldest entry makes room.
const maxLog = 100

// logEntries numbers the entries of a device's log. The entries themselves are
// resources like any other.
type logEntries struct {
	mu    sync.Mutex // guards the two, and keeps entries in order
	first int        // the oldest that is still there
	last  int        // ids are never used again
}

// logRegistry is the prefix of the message ids: tools of the field cannot read
// an entry without one (observed: redfish_utilities 3.5.2, rf_logs.py).
const logRegistry = "PosternSim.1.0."

// record adds an entry about the manager to the log.
func (d *Device) record(key, message string) { d.recordFor(managerPath, key, message) }

// recordFor adds an entry to the log about the resource at origin, and tells
// the listeners.
func (d *Device) recordFor(origin, key, message string) {
	d.events.publish(occurrence{
		kind: eventAlert, messageID: logRegistry + key, message: message, origin: origin,
		entry: d.addEntry(origin, key, message),
	})
}

// addEntry returns the URI of the new entry.
func (d *Device) addEntry(origin, key, message string) string {
	e := &d.entries
	e.mu.Lock()
	defer e.mu.Unlock()
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	e.last++
	id := strconv.Itoa(e.last)
	d.store.set(entriesPath+"/"+id, mustJSON(struct {
		ODataID   string `json:"@odata.id"`
		ODataType string `json:"@odata.type"`
		ID        string `json:"Id"`
		Name      string `json:"Name"`
		EntryType string `json:"EntryType"`
		Severity  string `json:"Severity"`
		Created   string `json:"Created"`
		Message   string `json:"Message"`
		MessageID string `json:"MessageId"`
		Links     struct {
			Origin redfish.Ref `json:"OriginOfCondition"`
		} `json:"Links"`
	}{entriesPath + "/" + id, "#LogEntry.v1_21_0.LogEntry", id, "Log Entry " + id,
		"Event", "OK", d.dateTime(), message, logRegistry + key,
		struct {
			Origin redfish.Ref `json:"OriginOfCondition"`
		}{redfish.Ref{ID: origin}}}))
	d.forget(e.last - maxLog)
	return entriesPath + "/" + id
}

// clearLog empties the log.
func (d *Device) clearLog() {
	e := &d.entries
	e.mu.Lock()
	defer e.mu.Unlock()
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	d.forget(e.last)
}

// forget removes the entries up to a number and lists the rest; both locks are held.
func (d *Device) forget(upTo int) {
	e := &d.entries
	for ; e.first <= upTo; e.first++ {
		d.store.unset(entriesPath + "/" + strconv.Itoa(e.first))
	}
	var uris []string
	for n := e.first; n <= e.last; n++ {
		uris = append(uris, entriesPath+"/"+strconv.Itoa(n))
	}
	d.store.setMembers(entriesPath, uris)
}
