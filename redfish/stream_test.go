package redfish_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

func TestStreamPath(t *testing.T) {
	t.Parallel()
	root := strings.Replace(root116, `"Systems"`, `"EventService":{"@odata.id":"/redfish/v1/EventService"},"Systems"`, 1)
	const service = "GET /redfish/v1/EventService"
	for name, c := range map[string]struct {
		answers answers
		path    string
		err     error
	}{
		"named":           {answers{getRoot: root, service: `{"ServerSentEventUri":"/redfish/v1/EventService/SSE"}`}, "/redfish/v1/EventService/SSE", nil},
		"absolute":        {answers{getRoot: root, service: `{"ServerSentEventUri":"https://elsewhere.example/redfish/v1/SSE"}`}, "/redfish/v1/SSE", nil},
		"no service":      {answers{getRoot: root116}, "", redfish.ErrNoStream},
		"service is gone": {answers{getRoot: root, service: 404}, "", redfish.ErrNoStream},
		"no stream":       {answers{getRoot: root, service: `{"Id":"EventService"}`}, "", redfish.ErrNoStream},
		"no session":      {answers{getRoot: root, service: 401}, "", auth.ErrNoSession},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newBMC(t, c.answers).device(t)
			path, err := d.StreamPath(t.Context(), auth.Login{Method: auth.MethodSession, Secret: auth.NewSecret("t")})
			if path != c.path || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v; want %q, %v", path, err, c.path, c.err)
			}
		})
	}
}
