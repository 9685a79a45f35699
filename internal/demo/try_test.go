package demo

import (
	"strings"
	"testing"
)

// The curl lines are those of the page, byte for byte, but for host, name,
// password and the path of data.json.
func TestGuideHasThePagesLines(t *testing.T) {
	t.Parallel()
	got := style{}.guide(playground{program: "postern", host: "127.0.0.1:4711", user: "admin", passwordFile: "/d/admin.password", loginFile: "/d/data.json", data: "/d"})
	for name, want := range map[string]string{
		"host": "  export bmc_ip=127.0.0.1:4711\n",
		"anonymous": `
  curl --include --insecure     \
       --location https://${bmc_ip}/redfish/v1/Systems/
`,
		"basic": `
  curl --include --insecure     \
       --user "admin:$(cat /d/admin.password)" \
       --location https://${bmc_ip}/redfish/v1/Systems/
`,
		"token": `
  TokenAndUrl=( $(curl --silent --location --insecure --include \
                --request POST  --header 'Content-Type: application/json' \
                --data '@/d/data.json' \
                "https://${bmc_ip}/redfish/v1/SessionService/Sessions/" | \
                awk  '/^Location/ || /^X-Auth-Token/ {print $NF}' | \
                sort | tr  '\r' ' '))
`,
		"use": `
  curl --insecure \
       --header "X-Auth-Token: ${TokenAndUrl[0]}" \
       "${TokenAndUrl[1]}" | \
       jq
`,
		"list":   "https://${bmc_ip}/redfish/v1/SessionService/Sessions/\n",
		"logout": `--request DELETE "${TokenAndUrl[1]}"`,
		"own":    "  postern serve --target https://BMC --user U --password-file F\n",
		"stop":   "Ctrl-C",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: missing\n%s\nin\n%s", name, want, got)
		}
	}
}

func TestQuote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"/tmp/a-b_c.d": "/tmp/a-b_c.d",
		"/a b":         "'/a b'",
		"/it's":        `'/it'\''s'`,
		"/$(x)":        "'/$(x)'",
	} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
