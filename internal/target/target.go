// Package target keeps the devices behind Postern: where each one is, how its
// certificate is judged, and with which credential Postern logs in there. It
// speaks TLS to look at certificates, and no protocol of any family.
package target

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/postern/postern/auth"
)

// Where a target comes from.
const (
	OriginFile    = "file"    // the configuration file: commands cannot change it
	OriginCommand = "command" // a command
)

// A Target is a device and what Postern needs to use it.
type Target struct {
	Name    string
	Family  string
	Profile string // "" = found out from the device
	URL     string // https, host and port only, as CanonicalURL writes it
	CAPEM   string // CAs that sign the device's certificate; "" = the system's
	Pin     string // of the device's own certificate; alone decides where it is set
	Account auth.AccountName

	// Certificate is what Postern shows the device in the place of a password: a
	// chain in PEM, or "file:PATH" (absolute) where it is; "" = none.
	Certificate string
	// Source says where the password, or the certificate's key, is: "file:PATH"
	// (absolute), "env:NAME" or "command:LINE". Where it is empty it is in Sealed.
	Source string
	Sealed []byte

	Method           auth.Method
	Budget           int // logins that may be open at the device; 0 = the profile's value
	InFlight         int // calls at a time; 0 = the default
	Exclusive        bool
	LockoutThreshold int           // wrong passwords that lock the account; 0 = unknown
	LockoutWindow    time.Duration // 0 = unknown
	Address          string        // to listen on; "" = a free loopback port
	Origin           string
	Created, Updated time.Time
}

// Limits of what one target may say.
const (
	maxText     = 1024    // bytes of a text that is shown or sent
	maxCAPEM    = 1 << 20 // a bundle of all public CAs has about 220 KiB
	maxNumber   = 10_000  // no device gives or takes as many
	maxDuration = 365 * 24 * time.Hour
)

var (
	validName   = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	validFamily = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}$`)
	// A name, and perhaps changes to settings of it: ilo,location=relative.
	validProfile = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,31}(,[a-z0-9-]{1,31}=[a-z0-9-]{1,31}){0,8}$`)
	validEnv     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,255}$`)
	validHost    = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?)+$`)
)

// Validate says what is wrong with t, or nil. The error never holds a secret.
func Validate(t Target) error {
	if err := validate(t); err != nil {
		return fmt.Errorf("target %q: %w", t.Name, err)
	}
	return nil
}

func validate(t Target) error {
	if !validName.MatchString(t.Name) {
		return errors.New("a name has 1 to 63 small letters, digits and dashes, and begins with no dash")
	}
	if !validFamily.MatchString(t.Family) {
		return fmt.Errorf("%q is not a family", t.Family)
	}
	if t.Profile != "" && !validProfile.MatchString(t.Profile) {
		return fmt.Errorf("%q is not a profile", t.Profile)
	}
	if _, err := CanonicalURL(t.URL); err != nil {
		return err
	}
	if err := validateTrust(t); err != nil {
		return err
	}
	if err := validateCredential(t); err != nil {
		return err
	}
	for what, n := range map[string]int{"budget": t.Budget, "bound on calls in flight": t.InFlight, "lockout threshold": t.LockoutThreshold} {
		if n < 0 || n > maxNumber {
			return fmt.Errorf("a %s of %d is not between 0 and %d", what, n, maxNumber)
		}
	}
	if t.LockoutWindow < 0 || t.LockoutWindow > maxDuration {
		return fmt.Errorf("a lockout window of %s is not between 0 and a year", t.LockoutWindow)
	}
	return text("address", t.Address)
}

func validateTrust(t Target) error {
	if t.CAPEM != "" && t.Pin != "" {
		return errors.New("a pin and a CA exclude each other: the pin alone would decide")
	}
	if t.Pin != "" {
		if _, err := ParsePin(t.Pin); err != nil {
			return err
		}
	}
	if t.CAPEM != "" {
		if _, err := caPool(t.CAPEM); err != nil {
			return err
		}
	}
	return nil
}

func validateCredential(t Target) error {
	if t.Account == "" {
		return errors.New("it needs the name of an account at the device")
	}
	if err := text("account name", string(t.Account)); err != nil {
		return err
	}
	if err := validateMethod(t); err != nil {
		return err
	}
	if t.Method == auth.MethodBasic && strings.Contains(string(t.Account), ":") { // RFC 7617, 2
		return errors.New("an account name with a colon cannot be sent by HTTP Basic")
	}
	if t.Source == "" {
		return nil
	}
	if len(t.Sealed) > 0 {
		return errors.New("a stored password and a reference to one exclude each other")
	}
	_, err := parseSource(t.Source)
	return err
}

// text refuses what could steer a terminal or begin a line of its own.
func text(what, s string) error {
	if len(s) > maxText {
		return fmt.Errorf("the %s is longer than %d bytes", what, maxText)
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r == unicode.ReplacementChar || !unicode.IsPrint(r) }) {
		return fmt.Errorf("the %s %q holds characters that cannot be printed", what, s)
	}
	return nil
}

// CanonicalURL returns the one way to write the base URL of a device: https, the
// host in small letters, a port where it is not 443, and no slash at the end.
// Whatever else a URL may hold is refused.
func CanonicalURL(s string) (string, error) {
	if err := text("URL", s); err != nil {
		return "", err
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Opaque != "":
		return "", errors.New("the URL cannot be read; it looks like https://10.0.0.7 or https://bmc.example:8443")
	case u.User != nil: // and is not shown
		return "", errors.New("the URL holds a user or a password; they have fields of their own")
	case u.Scheme != "https":
		return "", fmt.Errorf("the URL must begin with https://, not %q", u.Scheme+"://")
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "", strings.Contains(s, "#"):
		return "", fmt.Errorf("the URL %q has more than a host and a port", s)
	}
	host := strings.ToLower(u.Hostname())
	if !validHost.MatchString(host) || len(host) > 255 {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return "", fmt.Errorf("%q in the URL is neither a host name nor an address", host)
		}
		host = addr.String()
	}
	port := u.Port()
	if port == "" && strings.HasSuffix(u.Host, ":") {
		return "", errors.New("the URL has a colon and no port behind it")
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", fmt.Errorf("%q in the URL is not a port", port)
		}
		port = strconv.FormatUint(n, 10)
	}
	if port == "" || port == "443" {
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		return (&url.URL{Scheme: "https", Host: host}).String(), nil
	}
	return (&url.URL{Scheme: "https", Host: net.JoinHostPort(host, port)}).String(), nil
}

// normal returns t as it is stored.
func normal(t Target) (Target, error) {
	if err := Validate(t); err != nil {
		return t, err
	}
	t.URL, _ = CanonicalURL(t.URL)
	if t.Pin != "" {
		t.Pin, _ = ParsePin(t.Pin)
	}
	switch {
	case t.Certificate != "":
		t.Method = auth.MethodCertificate
	case t.Method == "":
		t.Method = auth.MethodAuto
	}
	return t, nil
}

// caPool reads PEM certificates, and nothing else between them.
func caPool(text string) (*x509.CertPool, error) {
	if len(text) > maxCAPEM {
		return nil, fmt.Errorf("the CA file is larger than %d bytes", maxCAPEM)
	}
	pool := x509.NewCertPool()
	n := 0
	for rest := []byte(text); ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("the CA file holds a %s; it must hold certificates only", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of the CA file: %w", n+1, err)
		}
		pool.AddCert(cert)
	}
	if n == 0 {
		return nil, errors.New("the CA file holds no PEM certificate")
	}
	return pool, nil
}

// source is a Source taken apart.
type source struct{ kind, value string }

func parseSource(s string) (source, error) {
	kind, value, _ := strings.Cut(s, ":")
	if err := text("password source", value); err != nil {
		return source{}, fmt.Errorf("the password source (%s) is too long or cannot be printed", kind)
	}
	switch {
	case kind == "file" && !filepath.IsAbs(value):
		return source{}, fmt.Errorf("the path of the password file %q is not absolute", value)
	case kind == "env" && !validEnv.MatchString(value):
		return source{}, fmt.Errorf("%q is not the name of an environment variable", value)
	case kind == "command" && len(strings.Fields(value)) == 0:
		return source{}, errors.New("the password command is empty")
	case kind != "file" && kind != "env" && kind != "command":
		return source{}, errors.New("a password source is file:PATH, env:NAME or command:LINE")
	}
	return source{kind, value}, nil
}
