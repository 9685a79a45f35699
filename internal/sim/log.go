package sim

import (
	"strconv"
	"sync"

	"github.com/postern/postern/redfish"
)

// maxLog is MaxNumberOfRecords of a log: the oldest entry makes room.
const maxLog = 100

// logRegistry is the prefix of the message ids: tools of the field cannot read
// an entry without one (observed: redfish_utilities 3.5.2, rf_logs.py).
const logRegistry = "PosternSim.1.0."

// A deviceLog numbers the entries of one log. The entries themselves are
// resources like any other.
type deviceLog struct {
	path string // of the log service

	mu    sync.Mutex // guards the two, keeps entries in order, and is taken before the store's
	first int        // the oldest that is still there
	last  int        // ids are never used again
}

// openLog continues the log that a tree has at path.
func openLog(s *store, path string) *deviceLog {
	return &deviceLog{path: path, first: 1, last: len(s.members(path + "/Entries"))}
}

func (l *deviceLog) entry(n int) string { return l.path + "/Entries/" + strconv.Itoa(n) }

// record adds an entry about the manager to the log.
func (d *Device) record(key, message string) { d.recordFor(managerPath, key, message) }

// recordFor adds an entry about the resource at origin to the manager's log,
// which has everything, and to the system's if it is the system's, and tells
// the listeners.
func (d *Device) recordFor(origin, key, message string) {
	entry := d.managerLog.add(d, origin, key, message)
	if origin == systemPath || within(origin, systemPath) {
		d.systemLog.add(d, origin, key, message)
	}
	d.events.publish(occurrence{
		kind: eventAlert, messageID: logRegistry + key, message: message, origin: origin, entry: entry,
	})
}

// An entryBody is the resource of a log entry (LogEntry v1_21_0).
type entryBody struct {
	ODataID   string                 `json:"@odata.id"`
	ODataType string                 `json:"@odata.type"`
	ID        string                 `json:"Id"`
	Name      string                 `json:"Name"`
	EntryType string                 `json:"EntryType"`
	Severity  string                 `json:"Severity"`
	Created   string                 `json:"Created"`
	Message   string                 `json:"Message"`
	MessageID string                 `json:"MessageId"`
	Links     map[string]redfish.Ref `json:"Links"`
}

// add returns the URI of the new entry.
func (l *deviceLog) add(d *Device, origin, key, message string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	l.last++
	id, at := strconv.Itoa(l.last), l.entry(l.last)
	d.store.set(at, mustJSON(entryBody{
		at, "#LogEntry.v1_21_0.LogEntry", id, "Log Entry " + id, "Event", "OK", d.dateTime(), message, logRegistry + key,
		map[string]redfish.Ref{"OriginOfCondition": {ID: origin}},
	}))
	l.forget(d.store, l.last-maxLog)
	return at
}

// clear empties the log.
func (l *deviceLog) clear(d *Device) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	l.forget(d.store, l.last)
}

// forget removes the entries up to a number and lists the rest; both locks are held.
func (l *deviceLog) forget(s *store, upTo int) {
	for ; l.first <= upTo; l.first++ {
		s.unset(l.entry(l.first))
	}
	var uris []string
	for n := l.first; n <= l.last; n++ {
		uris = append(uris, l.entry(n))
	}
	s.setMembers(l.path+"/Entries", uris)
}
