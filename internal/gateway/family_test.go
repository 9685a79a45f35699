package gateway_test

import (
	"errors"
	"net/http"

	"github.com/postern/postern/internal/gateway"
	"github.com/postern/postern/redfish"
)

// redfishFamily shows package redfish to the gateway.
type redfishFamily struct {
	redfish.Profile
	*redfish.Device
}

var _ gateway.Family = redfishFamily{}

var redfishKinds = map[redfish.Kind]gateway.Kind{
	redfish.KindRefused: gateway.Refused,
	redfish.KindDenied:  gateway.Denied,
	redfish.KindOpen:    gateway.Open,
	redfish.KindOurs:    gateway.Ours,
	redfish.KindRead:    gateway.Read,
	redfish.KindEffect:  gateway.Effect,
}

func (f redfishFamily) Classify(method, rawPath, rawQuery string) gateway.Call {
	c := f.Profile.Classify(method, rawPath, rawQuery)
	return gateway.Call{Kind: redfishKinds[c.Kind], Path: c.Path, Reach: c.Reach, Err: c.Err}
}

func (f redfishFamily) BodyMembers(body []byte) ([]string, error) { return redfish.BodyMembers(body) }

func (f redfishFamily) WriteError(w http.ResponseWriter, r *http.Request, err error) {
	var e *gateway.Error
	if errors.As(err, &e) {
		err = redfish.Refuse(e.Status, e.Message, e.RetryAfter, e)
	}
	redfish.WriteError(w, r, err)
}
