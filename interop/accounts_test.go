//go:build integration

package interop

import (
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// Accounts, roles and passwords by unmodified clients, at what has accounts of
// its own.
func TestAccounts(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*world) endpoint{
		simulator:       func(w *world) endpoint { return w.sim("--slots", "16").endpoint },
		"postern serve": func(w *world) endpoint { return w.server().endpoint },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e := start(w)
			// A BMC refuses a locked account whoever comes; Postern lets those go on
			// whose good password it knows.
			lockout, lockoutWhat := "lockout", "lockout set by PATCH; a good password that is known already passes"
			if name == simulator {
				lockout, lockoutWhat = "lockout-device", "lockout set by PATCH"
			}
			for _, s := range []scene{
				script("redfish", "redfish_accounts.py", "change", "password change required: told at login, GET and PATCH of the own account, nothing else"),
				{"redfish_utilities", "rf_accounts --setpassword of the own account where that is required; other scripts say so", changeByTacklebox},
				script("redfish", "redfish_accounts.py", "role", "roles made by POST: an account may do what the privileges say, and nothing else"),
				script("redfish", "redfish_accounts.py", "history", "former and short passwords are refused"),
				script("redfish", "redfish_accounts.py", lockout, lockoutWhat),
				{"redfish_utilities", "rf_accounts --unlock", unlockByTacklebox}, // of who was locked by the line above
			} {
				s.record(t, w, e, name, "direct")
			}
		})
	}
}

// as is the endpoint for somebody else.
func (e endpoint) as(user, password string) endpoint {
	e.user, e.password = user, password
	return e
}

func changeByTacklebox(t *testing.T, _ *world, e endpoint) error {
	a, err := e.call(e.client(t), "POST", accountService+"/Accounts", map[string]any{
		"UserName": "rookie", "Password": "First-pw.2026", "RoleId": "Operator", "PasswordChangeRequired": true,
	})
	if err != nil || a.status != http.StatusCreated {
		return fmt.Errorf("POST of the account: status %d, %v: %s", a.status, err, a.body)
	}
	first, second := e.as("rookie", "First-pw.2026"), e.as("rookie", "Second-pw.2026")
	err = tacklebox(t, first, []string{"rf_sensor_list"}, nil)
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(err.Error(), "Password change required") {
		return fmt.Errorf("rf_sensor_list: got %v, want exit 1 and a hint", err)
	}
	if err := tacklebox(t, first, strings.Fields("rf_accounts --setpassword rookie Second-pw.2026"), []string{"Changing password"}); err != nil {
		return err
	}
	return tacklebox(t, second, []string{"rf_sensor_list"}, []string{"Chassis"})
}

// unlockByTacklebox unlocks ann and joe, whom the scene before has locked.
func unlockByTacklebox(t *testing.T, _ *world, e endpoint) error {
	ann := e.as("ann", "Right-pw.2026")
	locked := func(want int) error {
		a, err := ann.call(e.client(t), "GET", systems, nil)
		if err != nil || a.status != want {
			return fmt.Errorf("ann: status %d, %v, want %d", a.status, err, want)
		}
		return nil
	}
	if err := locked(http.StatusUnauthorized); err != nil {
		return err
	}
	return errors.Join(
		tacklebox(t, e, []string{"rf_accounts", "--unlock", "ann"}, []string{"Unlocking"}),
		locked(http.StatusOK),
		tacklebox(t, ann, []string{"rf_sensor_list"}, []string{"Chassis"}))
}

// A role of one's own at a device behind the gateway.
func TestCustomRoleGateway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	d := w.sim("--slots", "4")
	g := w.gateway(d.target()).up(w)
	k := byCommand{w, g.data, "target:bmc1"}
	for _, c := range []struct {
		role, privileges                    string
		reset, asset, chassis, manager, own int
	}{
		{"looks", "Login", 403, 403, 403, 403, 403},
		{"power", "Login,ConfigureComponents", 204, 200, 200, 403, 403},
		{"net", "Login,ConfigureManager", 403, 403, 403, 200, 200},
		{"self", "Login,ConfigureSelf", 403, 403, 403, 403, 200},
	} {
		password, file := w.password("password of " + c.role)
		k.must(t, "role", "add", c.role, "--privilege", c.privileges)
		k.must(t, "account", "add", c.role, "--role", c.role, "--password-file", file)
		e := g.as(c.role, password)
		client := e.client(t)
		for _, try := range []struct {
			method, path string
			body         any
			want         int
		}{
			{"GET", systems + "/1", nil, 200},
			{"POST", systems + "/1/Actions/ComputerSystem.Reset", map[string]string{"ResetType": "ForceRestart"}, c.reset},
			{"PATCH", systems + "/1", map[string]string{"AssetTag": c.role}, c.asset},
			{"PATCH", "/redfish/v1/Chassis/1", map[string]string{"AssetTag": c.role}, c.chassis},
			{"PATCH", "/redfish/v1/Managers/1/NetworkProtocol", map[string]any{"NTP": map[string]bool{"ProtocolEnabled": true}}, c.manager},
			{"GET", accountService + "/Accounts", nil, 403},
			{"GET", accountService + "/Accounts/" + c.role, nil, c.own},
		} {
			a, err := e.call(client, try.method, try.path, try.body)
			if err != nil || a.status != try.want {
				t.Errorf("%s: %s %s: status %d, %v, want %d: %.300s", c.role, try.method, try.path, a.status, err, try.want, a.body)
			}
		}
	}
}

// An authentication server in the place of a device, for the clients that people
// have.
func TestClientsServerAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.server()
	for _, scene := range scenes {
		if scene.client == "curl" || scene.what == pySession.what || scene.what == toolDefaultScene.what {
			scene.record(t, w, s.endpoint, "postern serve", "direct")
		}
	}
}
