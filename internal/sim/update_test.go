package sim

import (
	"bytes"
	"fmt"
	"mime/multipart"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
)

func TestSimpleUpdateRefusals(t *testing.T) {
	t.Parallel()
	r, _ := startByHand(t)
	for body, want := range map[string]string{
		`{}`: "ActionParameterMissing",
		`{"ImageURI":"x","TransferProtocol":"PIGEON"}`:          "ActionParameterValueNotInList",
		`{"ImageURI":"x","Targets":["/redfish/v1/Chassis/1"]}`:  "ActionParameterValueNotInList",
		`{"ImageURI":"x","Targets":"all"}`:                      "ActionParameterValueTypeError",
		`{"ImageURI":"x","What":1}`:                             "ActionParameterUnknown",
		`{"ImageURI":"https://u:p@x/y"}`:                        "ActionParameterValueError",
		`{"ImageURI":"x","@Redfish.OperationApplyTime":"Soon"}`: "ActionParameterValueNotInList",
	} {
		if got := r.want(400, "POST", simpleUpdate, body).messages(); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	if p := r.want(200, "GET", tasksPath, ""); p.member("Members@odata.count") != "0" {
		t.Errorf("tasks: %s", p.body)
	}
}

// A form is a multipart body with named parts.
type form struct {
	bytes.Buffer
	w *multipart.Writer
}

func newForm() *form {
	f := new(form)
	f.w = multipart.NewWriter(&f.Buffer)
	return f
}

func (f *form) part(name, file, media, body string) *form {
	h := textproto.MIMEHeader{}
	disposition := fmt.Sprintf("form-data; name=%q", name)
	if file != "" {
		disposition += fmt.Sprintf("; filename=%q", file)
	}
	h.Set("Content-Disposition", disposition)
	if media != "" {
		h.Set("Content-Type", media)
	}
	p, _ := f.w.CreatePart(h)
	p.Write([]byte(body))
	return f
}

func (f *form) end() (body string, media option) {
	f.w.Close()
	return f.String(), header("Content-Type", f.w.FormDataContentType())
}

func TestMultipartUpload(t *testing.T) {
	t.Parallel()
	const octets, parameters = "application/octet-stream", "UpdateParameters"
	for _, tt := range []struct {
		name    string
		form    *form
		status  int
		outcome string // the message, now or in the end
	}{
		// observed: redfish_utilities 3.5.2, rf_update.py
		{"as the tools do", newForm().part(parameters, "", mediaJSON, `{}`).part("UpdateFile", "bmc-1.2.3.bin", octets, "image"), 202, "UpdateSuccessful"},
		{"for a target", newForm().part(parameters, "", "", `{"Targets":["`+inventoryPath+`/BIOS"],"ForceUpdate":true,"Oem":{}}`).part("UpdateFile", "x", "", "image").part("OemX", "", "", "y"), 202, "UpdateSuccessful"},
		{"empty image", newForm().part(parameters, "", mediaJSON, `{}`).part("UpdateFile", "x", octets, ""), 202, "VerificationFailed"},
		{"no image", newForm().part(parameters, "", mediaJSON, `{}`), 400, "PropertyMissing"},
		{"no parameters", newForm().part("OemX", "", "", ""), 400, "PropertyMissing"},
		{"image first", newForm().part("UpdateFile", "x", octets, "image").part(parameters, "", mediaJSON, `{}`), 400, "GeneralError"},
		{"two images", newForm().part(parameters, "", mediaJSON, `{}`).part("UpdateFile", "x", octets, "a").part("UpdateFile", "x", octets, "b"), 400, "GeneralError"},
		{"parameters that are none", newForm().part(parameters, "", mediaJSON, `{"Targets":["/x"],"Y":1}`), 400, "PropertyValueNotInList PropertyUnknown"},
		{"parameters that are no JSON", newForm().part(parameters, "", mediaJSON, `{`), 400, "MalformedJSON"},
		{"parameters of another type", newForm().part(parameters, "", "text/xml", `{}`), 415, "HeaderInvalid"},
		{"large parameters", newForm().part(parameters, "", mediaJSON, string(make([]byte, maxUpdateParameters+1))), 413, "PayloadTooLarge"},
	} {
		r, clock := startByHand(t)
		body, media := tt.form.end()
		p := r.want(tt.status, "POST", multipartPath, body, media)
		if tt.status == 202 {
			clock.add(updateTime)
			p = r.do("GET", p.header.Get("Location"), "", basic)
		}
		if p.messages() != tt.outcome {
			t.Errorf("%s: %s, want %s", tt.name, p.messages(), tt.outcome)
		}
	}
	r, _ := startByHand(t)
	r.want(415, "POST", multipartPath, "x", header("Content-Type", octets))
	r.want(400, "POST", multipartPath, "--b\r\n", header("Content-Type", "multipart/form-data; boundary=b"))
}

func TestUploadIsCounted(t *testing.T) {
	t.Parallel()
	r, _ := startByHand(t)
	body, media := newForm().part("UpdateParameters", "", mediaJSON, `{}`).part("UpdateFile", "x", "", "image").end()
	r.want(202, "POST", multipartPath, body, media)
	u := r.Stats().Upload
	if u.Count != 1 || u.Bytes != 5 || u.SHA256 != "6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d" {
		t.Errorf("%+v", u)
	}
}

func TestUploadIsBounded(t *testing.T) {
	t.Parallel()
	r, _ := startByHand(t)
	if n, err := r.receive(strings.NewReader("12345"), 5); n != 5 || err != nil {
		t.Errorf("as large as may be: %d, %v", n, err)
	}
	if _, err := r.receive(strings.NewReader("123456"), 5); err == nil {
		t.Error("one byte too many")
	}
}

func TestNewVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ old, image, want string }{
		{"1.0.0", "bmc-2.3.4.bin", "2.3.4"},
		{"1.0.9", "bmc.bin", "1.0.10"},
		{"U30", "bios.rom", "U30.1"},
		{"1.0.0", "fw7", "1.0.1"},
	} {
		if got := newVersion(tt.old, tt.image); got != tt.want {
			t.Errorf("after %s with %s: %s, want %s", tt.old, tt.image, got, tt.want)
		}
	}
}

func FuzzMultipartUpload(f *testing.F) {
	body, _ := newForm().part("UpdateParameters", "", mediaJSON, `{"Targets":[]}`).part("UpdateFile", "x", "", "image").end()
	f.Add([]byte(body), "x")
	f.Add([]byte("--x\r\nContent-Disposition: form-data; name=UpdateFile\r\n\r\n\r\n--x--"), "x")
	f.Fuzz(func(t *testing.T, body []byte, boundary string) {
		m, err := NewMachine(MachineConfig{})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		r := httptest.NewRequest("POST", multipartPath, bytes.NewReader(body))
		r.Header.Set("Content-Type", "multipart/form-data; boundary="+boundary)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Privileges: auth.AllPrivileges})))
		if w.Code == 500 {
			t.Errorf("%q: %s", body, w.Body)
		}
	})
}
