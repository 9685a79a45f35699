//go:build integration

package interop

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mockupFaults are what the validator 3.1.8 rightly finds in the published trees:
// links that lead nowhere, and members that the tree lacks or spells wrongly. The
// simulator shows them as they are.
var mockupFaults = map[string][]string{
	"public-rackmount1": {
		"/redfish/v1/AccountService/OutboundConnections/1 Links/Session",
		"/redfish/v1/AccountService/Roles/Administrator RoleId",
		"/redfish/v1/AccountService/Roles/Operator RoleId",
		"/redfish/v1/AccountService/Roles/ReadOnly RoleId",
		"/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies/Bay1 Actions/#PowerSupply.Reset/target",
		"/redfish/v1/Chassis/1U/PowerSubsystem/PowerSupplies/Bay1/Metrics Actions/#PowerSupplyMetrics.ResetMetrics/target",
		"/redfish/v1/Chassis/1U/Sensors/PS1Fan 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1InputFrequency 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1OutputPower 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1Temp 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_12Current 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_12VOutput 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_12VPower 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_3VCurrent 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_3VOutput 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_3VPower 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_5VCurrent 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_5VOutput 404",
		"/redfish/v1/Chassis/1U/Sensors/PS1_5VPower 404",
		"/redfish/v1/Chassis/1U/ThermalSubsystem/Heaters/CPU1Heater/Metrics Actions/#HeaterMetrics.ResetMetrics/target",
		"/redfish/v1/ServiceConditions Id",
		"/redfish/v1/SessionService/Sessions/1234567890ABCDEG 404",
		"/redfish/v1/TaskService/Tasks/545 EndTime",
		"/redfish/v1/TaskService/Tasks/545 StartTime",
	},
	"public-bladed": {
		"/redfish/v1/AccountService/Roles/Administrator RoleId",
		"/redfish/v1/AccountService/Roles/Operator RoleId",
		"/redfish/v1/AccountService/Roles/ReadOnly RoleId",
		"/redfish/v1/EventService/Subscriptions/1 SubscriptionType",
	},
	"public-catfish": {
		"/redfish/v1/AccountService/Roles/Administrator RoleId",
		"/redfish/v1/AccountService/Roles/Operator RoleId",
		"/redfish/v1/AccountService/Roles/ReadOnly RoleId",
	},
}

// The published trees have the faults that they are published with, and no other.
func TestValidatorMockups(t *testing.T) {
	t.Parallel()
	data := redfishData(t)
	for tree, faults := range mockupFaults {
		t.Run(tree, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			d := w.sim("--slots", "16", "--mockup", filepath.Join(data, "mockups", tree))
			scene{"redfish_service_validator", fmt.Sprintf("every resource against its schema: no FAIL but the %d of the tree as it is published", len(faults)),
				func(t *testing.T, _ *world, e endpoint) error {
					r, _ := validateService(t, e) // it ends with 1
					found := mockupFails(r)
					if !slices.Equal(found, faults) || r.Counts["PASS"] < 400 {
						return fmt.Errorf("%v: found %v,\nwant %v", r.Counts, found, faults)
					}
					return nil
				}}.record(t, w, d.endpoint, "mockup "+tree, "direct")
		})
	}
}

// mockupFails are the FAIL rows, as "URI property" or "URI 404".
func mockupFails(r report) []string {
	var out []string
	for _, row := range r.Bad {
		cells := strings.Split(row, " | ")
		if len(cells) < 7 || !slices.Contains(cells, "FAIL") {
			continue
		}
		what := cells[5]
		if cells[2] == "404" {
			what = "404"
		}
		out = append(out, cells[1]+" "+what)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
