package gateway

import (
	"strings"
	"testing"
)

func TestLocation(t *testing.T) {
	t.Parallel()
	device := originOf("https", "10.0.0.7")
	const ours = "https://bmc1.example:8443"
	for _, tc := range []struct {
		name, in, want string
		foreign, bad   bool
	}{
		{name: "rooted", in: "/redfish/v1/TaskService/Tasks/1", want: "/redfish/v1/TaskService/Tasks/1"},
		{name: "rootless", in: "Tasks/1", want: "Tasks/1"},
		{name: "encodings are kept", in: "https://10.0.0.7/redfish/v1/a%5B1%5d/?x=%2f", want: ours + "/redfish/v1/a%5B1%5d/?x=%2f"},
		{name: "port that the scheme implies", in: "HTTPS://10.0.0.7:443/x", want: ours + "/x"},
		{name: "no path", in: "https://10.0.0.7", want: ours + "/"},
		{name: "query without a path", in: "https://10.0.0.7?a", want: ours + "/?a"},
		{name: "network path", in: "//10.0.0.7/x", want: ours + "/x"},
		{name: "the device's other name", in: "https://ilo-one/redfish/v1/x", want: ours + "/redfish/v1/x", foreign: true},
		{name: "other port", in: "https://10.0.0.7:8443/x", want: ours + "/x", foreign: true},
		{name: "other scheme", in: "http://10.0.0.7/x", want: ours + "/x", foreign: true},
		{name: "another host as a network path", in: "//evil/x", want: ours + "/x", foreign: true},
		{name: "host hidden behind a user name", in: "https://10.0.0.7@evil/x", bad: true},
		{name: "backslashes", in: `\\evil/x`, bad: true},
		{name: "backslash after a slash", in: `/\evil/x`, bad: true},
		{name: "script", in: "javascript:alert(1)", bad: true},
		{name: "blank", in: " /x", bad: true},
		{name: "line break", in: "/x\r\ny: z", bad: true},
		{name: "no host", in: "https:///x", bad: true},
		{name: "empty", in: "", bad: true},
		{name: "colon in a segment", in: "/redfish/v1/x:y", want: "/redfish/v1/x:y"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, foreign, ok := location(tc.in, device, ours)
			if got != tc.want || foreign != tc.foreign || ok == tc.bad {
				t.Errorf("location(%q) = %q, foreign %v, ok %v; want %q, %v, %v", tc.in, got, foreign, ok, tc.want, tc.foreign, !tc.bad)
			}
		})
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	device := originOf("https", "10.0.0.7")
	const ours = "https://bmc1"
	for in, want := range map[string]string{
		`</redfish/v1/JsonSchemas/X.json>; rel=describedby`:                                            `</redfish/v1/JsonSchemas/X.json>; rel=describedby`,
		`<https://10.0.0.7/a%2Fb>; rel=next`:                                                           `<https://bmc1/a%2Fb>; rel=next`,
		`<http://redfish.dmtf.org/schemas/v1/X.json>; rel=describedby, <https://10.0.0.7:443/y>;rel=z`: `<http://redfish.dmtf.org/schemas/v1/X.json>; rel=describedby, <https://bmc1/y>;rel=z`,
		`<//x>; title="<https://10.0.0.7/a>"`:                                                          `<//x>; title="<https://10.0.0.7/a>"`,
		`</a>; t="\"<https://10.0.0.7/a>"`:                                                             `</a>; t="\"<https://10.0.0.7/a>"`,
		`<https://10.0.0.7/a`:                                                                          `<https://10.0.0.7/a`,
		`https://10.0.0.7/a`:                                                                           `https://10.0.0.7/a`,
		`<https://10.0.0.7>, <https://evil/a>`:                                                         `<https://bmc1/>, <https://evil/a>`,
	} {
		if got := link(in, device, ours); got != want {
			t.Errorf("link(%q) = %q, want %q", in, got, want)
		}
	}
}

// What is shown never sends a caller to the device itself, and a reference
// that was ours already is left alone.
func FuzzReferences(f *testing.F) {
	for _, s := range []string{"/a", "https://10.0.0.7/a", "//10.0.0.7", "https://x@10.0.0.7/", `<https://10.0.0.7/a>; rel="x"`} {
		f.Add(s)
	}
	device := originOf("https", "10.0.0.7")
	f.Fuzz(func(t *testing.T, s string) {
		shown, _, ok := location(s, device, "https://ours")
		if ok && strings.HasPrefix(strings.ToLower(shown), "https://10.0.0.7") {
			t.Errorf("location(%q) = %q", s, shown)
		}
		if ok && shown != s && !strings.HasPrefix(shown, "https://ours/") {
			t.Errorf("location(%q) = %q, which is neither ours nor as it came", s, shown)
		}
		if again, _, ok2 := location(shown, originOf("https", "ours"), "https://ours"); ok && (!ok2 || again != shown) {
			t.Errorf("location(%q) = %q, and again %q, %v", s, shown, again, ok2)
		}
		once := link(s, device, "https://ours")
		if twice := link(once, device, "https://ours"); twice != once {
			t.Errorf("link(%q) = %q, and again %q", s, once, twice)
		}
	})
}
