package sim

import (
	"fmt"
	"net/http"
	"path"
	"strings"

	"github.com/postern/postern/redfish"
)

// An action is one that the built-in tree offers. Its parameters are checked
// before it is done; allowed values are those that the resource lists.
type action struct {
	resource string
	name     string // "ComputerSystem.Reset"
	required []string
	params   map[string]check
	do       func(d *Device, params []byte)
}

var actions = []action{
	{resource: systemPath, name: "ComputerSystem.Reset", required: []string{"ResetType"},
		params: map[string]check{"ResetType": listed}, do: (*Device).resetSystem},
	{resource: managerPath, name: "Manager.Reset",
		params: map[string]check{"ResetType": listed}, do: (*Device).resetManager},
	clearLog(logPath, func(d *Device) *deviceLog { return d.managerLog }),
	clearLog(systemLogPath, func(d *Device) *deviceLog { return d.systemLog }),
	insertMedia("Cd"), insertMedia("Usb"), ejectMedia("Cd"), ejectMedia("Usb"),
}

// livingEndpoints are the paths of the built-in tree where no resource is.
var livingEndpoints = endpoints()

func endpoints() map[string]func(*Device) endpoint {
	all := map[string]func(*Device) endpoint{
		uploadPath:    func(d *Device) endpoint { return endpoint{http.MethodPost: d.upload} },
		multipartPath: func(d *Device) endpoint { return endpoint{http.MethodPost: d.multipartUpload} },
		updatePath + "/Actions/UpdateService.SimpleUpdate":   func(d *Device) endpoint { return endpoint{http.MethodPost: d.simpleUpdate} },
		eventsPath + "/Actions/EventService.SubmitTestEvent": func(d *Device) endpoint { return endpoint{http.MethodPost: d.submitTestEvent} },
	}
	for _, a := range actions {
		all[a.resource+"/Actions/"+a.name] = func(d *Device) endpoint {
			return endpoint{http.MethodPost: func(w http.ResponseWriter, r *http.Request, _ string) error { return d.act(w, r, a) }}
		}
	}
	return all
}

func (d *Device) act(w http.ResponseWriter, r *http.Request, a action) error {
	params, err := readObject(w, r)
	if err != nil {
		return err
	}
	if err := a.check(d.store.get(a.resource).body, params); err != nil {
		return err
	}
	a.do(d, params)
	return d.done(w)
}

func (a action) check(resource, params []byte) error {
	var problems []*redfish.Problem
	params = params[skipSpace(params, 0):]
	for _, p := range partsOf(params) {
		value := params[p.start:p.end]
		check := a.params[p.name]
		switch {
		case strings.Contains(p.name, "@"):
		case check == nil:
			problems = append(problems, badRequest("ActionParameterUnknown", a.name, p.name))
		default:
			allowed := allowedAt(resource, "Actions", "#"+a.name, p.name)
			if bad := parameterProblem(check(value, allowed), p.name, a.name, value); bad != nil {
				problems = append(problems, bad)
			}
		}
	}
	for _, name := range a.required {
		if lookup(params, name) == nil {
			problems = append(problems, badRequest("ActionParameterMissing", a.name, name))
		}
	}
	return join(problems)
}

// text returns a parameter that is a text, "" for none.
func text(params []byte, name string) string {
	if v := lookup(params, name); len(v) > 0 && v[0] == '"' {
		return unquote(v)
	}
	return ""
}

// edit changes a resource of the built-in tree.
func (d *Device) edit(path string, change func(body []byte) []byte) {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	d.store.set(path, change(d.store.at(path).body))
}

func (d *Device) resetSystem(params []byte) {
	how := text(params, "ResetType")
	d.edit(systemPath, func(body []byte) []byte {
		body, boots := power(body, how)
		body = putValue(body, d.dateTime(), "LastResetTime")
		if boots && string(lookup(body, "Boot", "BootSourceOverrideEnabled")) == `"Once"` {
			body = putValue(body, "Disabled", "Boot", "BootSourceOverrideEnabled")
			body = putValue(body, "None", "Boot", "BootSourceOverrideTarget")
		}
		return body
	})
	d.recordFor(systemPath, "SystemReset", fmt.Sprintf("The system was reset: %s. It is %s.", how, d.powerState()))
	d.events.resourceEvent(eventResourceUpdated, systemPath, "")
	d.tasks.released()
}

// power applies a reset to the PowerState of a resource, if it has one, and
// reports whether the system boots.
func power(body []byte, how string) (after []byte, boots bool) {
	now := string(lookup(body, "PowerState"))
	next := now
	switch how {
	case "On", "ForceOn":
		next, boots = `"On"`, now != `"On"`
	case "ForceOff", "GracefulShutdown":
		next = `"Off"`
	case "GracefulRestart", "ForceRestart", "PowerCycle", "FullPowerCycle":
		next, boots = `"On"`, true
	case "PushPowerButton":
		if boots = now != `"On"`; boots {
			next = `"On"`
		} else {
			next = `"Off"`
		}
	}
	if now == "" {
		return body, boots
	}
	return put(body, []byte(next), "PowerState"), boots
}

// resetManager restarts the BMC: its sessions are gone, the one that asked too.
func (d *Device) resetManager([]byte) {
	d.edit(managerPath, func(body []byte) []byte { return putValue(body, d.dateTime(), "LastResetTime") })
	d.record("ManagerReset", "The manager was reset.")
	d.tasks.released()
	d.DropSessions()
}

func clearLog(at string, of func(*Device) *deviceLog) action {
	return action{resource: at, name: "LogService.ClearLog",
		params: map[string]check{"LogEntriesETag": anyText}, do: func(d *Device, _ []byte) { of(d).clear(d) }}
}

func insertMedia(slot string) action {
	at := mediaPath + "/" + slot
	return action{resource: at, name: "VirtualMedia.InsertMedia", required: []string{"Image"},
		params: map[string]check{
			"Image": anyText, "Inserted": boolean, "WriteProtected": boolean, "TransferMethod": listed,
			"TransferProtocolType": listed, "MediaType": anyText, "UserName": anyText, "Password": anyText,
		},
		do: func(d *Device, params []byte) {
			image := text(params, "Image")
			d.edit(at, func(body []byte) []byte {
				body = putValue(body, image, "Image")
				body = putValue(body, path.Base(image), "ImageName")
				body = putValue(body, "URI", "ConnectedVia")
				body = putValue(body, string(lookup(params, "Inserted")) != "false", "Inserted")
				return putValue(body, string(lookup(params, "WriteProtected")) != "false", "WriteProtected")
			})
			d.recordFor(at, "MediaInserted", "Virtual media was inserted into "+slot+".")
			d.events.resourceEvent(eventResourceUpdated, at, "")
		}}
}

func ejectMedia(slot string) action {
	at := mediaPath + "/" + slot
	return action{resource: at, name: "VirtualMedia.EjectMedia", do: func(d *Device, _ []byte) {
		d.edit(at, func(body []byte) []byte {
			body = putValue(body, nil, "Image")
			body = putValue(body, nil, "ImageName")
			body = putValue(body, "NotConnected", "ConnectedVia")
			return putValue(body, false, "Inserted")
		})
		d.recordFor(at, "MediaEjected", "Virtual media was ejected from "+slot+".")
		d.events.resourceEvent(eventResourceUpdated, at, "")
	}}
}
