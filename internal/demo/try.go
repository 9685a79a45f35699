package demo

import "strings"

// A playground is what stays up, for somebody to try.
type playground struct {
	host         string // HOST:PORT of the gateway
	user         string
	passwordFile string
	loginFile    string // the JSON body of a login
	program      string
	data         string
}

// guide says what to do with it. The curl lines are those of HPE's page "Redfish
// authentication and sessions"; name, password and the path of data.json are
// all that differs.
func (s style) guide(p playground) string {
	var b strings.Builder
	head := func(text string) { b.WriteString("\n" + s.paint(text, bold) + "\n\n") }
	code := func(text string) { b.WriteString(indent(text)) }

	head("Postern stays up. Try it, from another terminal (bash):")
	code("export bmc_ip=" + p.host)
	code("# data.json, the body of a login: " + p.loginFile)

	head("Without a login: 401")
	code(`curl --include --insecure     \
     --location https://${bmc_ip}/redfish/v1/Systems/`)

	head("HTTP Basic")
	code(`curl --include --insecure     \
     --user "` + p.user + `:$(cat ` + quote(p.passwordFile) + `)" \
     --location https://${bmc_ip}/redfish/v1/Systems/`)

	head("A session: its token and its URL")
	code(`TokenAndUrl=( $(curl --silent --location --insecure --include \
              --request POST  --header 'Content-Type: application/json' \
              --data '` + escaped("@"+p.loginFile) + `' \
              "https://${bmc_ip}/redfish/v1/SessionService/Sessions/" | \
              awk  '/^Location/ || /^X-Auth-Token/ {print $NF}' | \
              sort | tr  '\r' ' '))`)

	head("Use it, list the sessions, log out")
	code(`curl --insecure \
     --header "X-Auth-Token: ${TokenAndUrl[0]}" \
     "${TokenAndUrl[1]}" | \
     jq
curl --insecure --header "X-Auth-Token: ${TokenAndUrl[0]}" \
     https://${bmc_ip}/redfish/v1/SessionService/Sessions/
curl --include --insecure --header "X-Auth-Token: ${TokenAndUrl[0]}" \
     --request DELETE "${TokenAndUrl[1]}"`)

	head("What Postern knows of it")
	code(quote(p.program) + " target list --data " + quote(p.data))
	code(quote(p.program) + " audit show --data " + quote(p.data) + " | tail")

	head("With your own BMC, its password in a file that only you can read:")
	code(quote(p.program) + " serve --target https://BMC --user U --password-file F")

	b.WriteString("\nCtrl-C ends it.\n")
	return b.String()
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(text, "\n", "\n  ") + "\n"
}

// quote makes a path one word of the shell.
func quote(path string) string {
	plain := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@", r))
	}
	if strings.IndexFunc(path, plain) < 0 {
		return path
	}
	return "'" + escaped(path) + "'"
}

// escaped is for between single quotes.
func escaped(text string) string { return strings.ReplaceAll(text, "'", `'\''`) }
