package redfish_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/postern/postern/redfish"
)

func TestMetadata(t *testing.T) {
	t.Parallel()
	types := []string{
		"#Role.v1_3_3.Role", "#ManagerAccount.v1_14_1.ManagerAccount", "#Role.v1_3_3.Role", "#RoleCollection.RoleCollection",
		"#ServiceRoot.v1_19_0.ServiceRoot", "Role.v1_0_0.Role", `#X"><y/>.v1_0_0.X`, "#", "",
	}
	doc := redfish.Metadata(types)
	for _, want := range []string{
		`Uri="http://redfish.dmtf.org/schemas/v1/ManagerAccount_v1.xml"`, `Namespace="ManagerAccount.v1_14_1"`, `Namespace="Role"`,
		`Extends="ServiceRoot.v1_19_0.ServiceContainer"`, `Namespace="Session.v1_8_0"`, `Namespace="RoleCollection"`,
	} {
		if strings.Count(string(doc), want) != 1 {
			t.Errorf("%s: not once in\n%s", want, doc)
		}
	}
	if strings.Contains(string(doc), "<y/>") || strings.Contains(string(doc), "v1_20_0") {
		t.Errorf("what should not be there:\n%s", doc)
	}
	if reversed := redfish.Metadata([]string{types[4], types[3], types[1], types[0]}); !bytes.Equal(reversed, doc) {
		t.Error("the order of the types matters")
	}
	for d := xml.NewDecoder(bytes.NewReader(doc)); ; {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestODataDocument(t *testing.T) {
	t.Parallel()
	raw := redfish.ODataDocument(map[string]string{"Systems": "/redfish/v1/Systems", "AccountService": "/redfish/v1/AccountService/"})
	var doc struct {
		Context string `json:"@odata.context"`
		Value   []struct{ Name, Kind, URL string }
	}
	if err := json.Unmarshal(raw, &doc); err != nil || doc.Context != "/redfish/v1/$metadata" {
		t.Fatalf("%v %s", err, raw)
	}
	got := ""
	for _, v := range doc.Value {
		got += v.Name + "=" + v.URL + " "
	}
	const want = "Service=/redfish/v1/ AccountService=/redfish/v1/AccountService SessionService=/redfish/v1/SessionService " +
		"Sessions=/redfish/v1/SessionService/Sessions Systems=/redfish/v1/Systems "
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
