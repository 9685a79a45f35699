package redfish

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
)

func FuzzRespell(f *testing.F) {
	for _, s := range []string{
		"/redfish/v1/systems/1/", "//redfish//v1", "/none:8443/:8443/redfish/v1/x", "/rest/v1/Sessions", "/REDFISH/V1/accountservice/ACCOUNTS/Roles",
		"/redfish/v1/sessions/sessions", "/html/LOGIN_cert.html", "/redfish/v1/%53ystems", "/none:1/redfish",
	} {
		f.Add(s)
	}
	ilo, err := FindProfile("ilo")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		right := ilo.respell(raw)
		if again := ilo.respell(right); again != right {
			t.Fatalf("%q becomes %q, and that %q", raw, right, again)
		}
		if before, err := Canonical(raw); err == nil && !strings.Contains(strings.ToLower(raw), "none:") {
			after, err := Canonical(right)
			if err != nil {
				t.Fatalf("%q becomes %q: %v", raw, right, err)
			}
			if !strings.EqualFold(strings.TrimSuffix(ilo.alias(ilo.foldCase(before)), "/"), strings.TrimSuffix(after, "/")) {
				t.Fatalf("%q reads %q, and %q reads %q", raw, before, right, after)
			}
		}
		// What is denied in one spelling is denied in all.
		if c := ilo.Classify("GET", raw, ""); c.Kind == KindRead {
			if low := ilo.Classify("GET", strings.ToLower(raw), ""); low.Kind == KindDenied {
				t.Fatalf("%q is read, and in lower case denied", raw)
			}
		}
	})
}

func FuzzDress(f *testing.F) {
	f.Add([]byte(`{"@odata.id":"/redfish/v1/Systems","Members":[{"@odata.id":"/redfish/v1/Systems/1"}]}`), true)
	f.Add([]byte(`{"@odata.etag":"x","target":"/redfish/v1/","Uri":"http://x"}`), false)
	f.Add([]byte(`{"@odata.id":{"@odata.id":7}}`), true)
	f.Add([]byte(` [] `), true)
	ilo, err := FindProfile("ilo")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, slash bool) {
		face := face{profile: ilo, slash: slash}
		out, tag := face.dress(body, `"0123456789abcdef"`)
		if json.Valid(body) != json.Valid(out) {
			t.Fatalf("%q becomes %q", body, out)
		}
		again, _ := face.dress(out, `"0123456789abcdef"`)
		if string(again) != string(out) || tag == "" {
			t.Fatalf("%q becomes %q, and that %q", body, out, again)
		}
	})
}

func FuzzFoundIn(f *testing.F) {
	f.Add([]byte(`{"Oem":{"Hpe":{"Manager":[{"ManagerType":"iLO 6"}],"Moniker":{"PRODGEN":"iLO 5"}}}}`))
	f.Add([]byte(`{"Oem":{"Hpe":{"@odata.type":"#HpeSession.v1_0_0.HpeSession"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if p, ok := FoundIn(body); ok != (p.Name != "") {
			t.Fatalf("%+v, %v", p, ok)
		}
		if o, err := decodeObject(body); err == nil {
			ownSession(o, "/redfish/v1/SessionService/Sessions/1")
			isOldILO(o)
		}
		answer{body: body}.delay()
		answer{body: body}.isRefusal()
	})
}

// Every profile makes a body of every problem.
func TestEnvelopes(t *testing.T) {
	t.Parallel()
	for _, p := range profiles {
		for key := range messages {
			problem := &Problem{Status: 400, Key: key, Args: []string{"a", "b", "c"}, More: []Problem{{Key: keyPropertyMissing, Args: []string{"x"}}}}
			w := httptest.NewRecorder()
			WriteError(w, withFace(httptest.NewRequest("GET", "/", nil), face{profile: p}), problem)
			var e struct {
				Error struct {
					Code         string           `json:"code"`
					Message      string           `json:"message"`
					ExtendedInfo []map[string]any `json:"@Message.ExtendedInfo"`
				} `json:"error"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || len(e.Error.ExtendedInfo) != 2 || e.Error.Code == "" || e.Error.Message == "" {
				t.Errorf("%s, %s: %v %s", p.Name, key, err, w.Body)
			}
		}
	}
}
