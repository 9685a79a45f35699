package cli

import (
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/target"
)

// deviceFlags describe one device.
type deviceFlags struct {
	url, family, profile string
	caFile, pin          string
	user                 string
	secret               secretFlags
	cert                 certFlags
}

func (d *deviceFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&d.family, "family", "", "`FAMILY` of the device (default redfish)")
	flags.StringVar(&d.profile, "profile", "", "vendor's `PROFILE` of the family")
	flags.StringVar(&d.caFile, "ca-file", "", "`FILE` with the CA that signs the device's certificate")
	flags.StringVar(&d.pin, "pin", "", "`PIN` of the device's certificate, sha256//BASE64")
	flags.StringVar(&d.user, "user", "", "`NAME` of the device account to log in with")
	d.secret.add(cmd)
	d.cert.add(cmd)
	var families, profiles []string
	for _, f := range serve.Families() {
		families, profiles = append(families, f.Family), append(profiles, f.Profiles...)
	}
	complete(cmd, "family", families...)
	complete(cmd, "profile", profiles...)
}

// unused refuses flags that describe a device when there is none.
func (d *deviceFlags) unused() error {
	for _, f := range [][2]string{
		{"user", d.user}, {"password-file", d.secret.file}, {"password-env", d.secret.env}, {"password-command", d.secret.command}, {"ca-file", d.caFile},
		{"pin", d.pin}, {"family", d.family}, {"profile", d.profile}, {"cert-file", d.cert.file}, {"key-file", d.cert.key},
	} {
		if f[1] != "" {
			return usage("it describes the device of --target", "--%s without --target", f[0])
		}
	}
	return nil
}

// describe makes a target of the flags, without its password and key. Without
// --user a certificate says who it is.
func (d *deviceFlags) describe(name string) (target.Target, error) {
	if err := d.cert.check(d.secret); err != nil {
		return target.Target{}, err
	}
	var cert clientCert
	if d.cert.given() {
		var err error
		if cert, err = d.cert.read(); err != nil {
			return target.Target{}, err
		}
		if d.user == "" {
			d.user = cert.name()
		}
	}
	if d.user == "" {
		return target.Target{}, usage("the device account that Postern logs in with", "--user is missing")
	}
	if d.caFile != "" && d.pin != "" {
		return target.Target{}, usage("a pin alone decides", "--ca-file and --pin exclude each other")
	}
	t := target.Target{Name: name, Family: d.family, Profile: d.profile, URL: strings.TrimSuffix(d.url, "/"), Pin: d.pin,
		Account: auth.AccountName(d.user), Method: auth.MethodAuto, Certificate: cert.chain}
	if d.cert.given() {
		t.Method = auth.MethodCertificate
	}
	if t.Family == "" {
		t.Family = "redfish"
	}
	if d.caFile != "" {
		pem, err := os.ReadFile(d.caFile)
		if err != nil {
			return target.Target{}, usage("", "--ca-file: %w", err)
		}
		t.CAPEM = string(pem)
	}
	if err := serve.CheckTarget(t); err != nil {
		return target.Target{}, usage("", "%w", err)
	}
	return t, nil
}
