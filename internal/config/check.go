package config

import (
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern/postern/internal/target"
)

// maxCount bounds budget and in_flight: no device of the families has more
// sessions, and each call in flight holds a connection.
const maxCount = 10_000

var (
	targetName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	hostName   = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
)

func (d *document) check(known []Known) (*File, error) {
	f := &File{}
	seen := map[string]bool{}
	for i := range d.raw.Targets {
		t, err := d.target(i, known)
		if err != nil {
			return nil, err
		}
		if seen[t.Name] {
			return nil, d.fail(fmt.Sprintf("target %q is described twice", t.Name), "give each target its own name", "targets", i, "name")
		}
		seen[t.Name] = true
		f.Targets = append(f.Targets, t)
	}
	for i := range d.raw.Listeners {
		l, err := d.listener(i, known, seen)
		if err != nil {
			return nil, err
		}
		f.Listeners = append(f.Listeners, l)
	}
	var err error
	if f.Rules, err = d.rules(); err != nil {
		return nil, err
	}
	if f.Metrics, err = d.metrics(); err != nil {
		return nil, err
	}
	return f, d.crowded(f)
}

func (d *document) target(i int, known []Known) (Target, error) {
	r := d.raw.Targets[i]
	t := Target{
		Name: r.Name, Family: r.Family, Profile: r.Profile, URL: r.URL, Pin: r.Pin, User: r.User, Auth: r.Auth,
		Budget: r.Budget, InFlight: r.InFlight, Exclusive: r.Exclusive, LockoutThreshold: r.LockoutThreshold,
	}
	if t.Family == "" {
		t.Family = "redfish"
	}
	if t.Auth == "" {
		t.Auth = "auto"
	}
	fail := func(key, msg, hint string) (Target, error) {
		return Target{}, d.fail(msg, hint, "targets", i, key)
	}
	if !targetName.MatchString(t.Name) {
		return fail("name", fmt.Sprintf("target name %q is not a name", t.Name), "use 1 to 63 small letters, digits and dashes, for instance bmc1")
	}
	profiles, err := d.family(t.Family, known, "targets", i)
	if err != nil {
		return Target{}, err
	}
	name, _, _ := strings.Cut(t.Profile, ",") // settings follow it, which the family knows
	if t.Profile != "" && !slices.Contains(profiles, name) {
		return fail("profile", fmt.Sprintf("unknown profile %q of family %s", t.Profile, t.Family), "left out, or one of: "+strings.Join(profiles, ", "))
	}
	if t.URL == "" {
		return fail("url", "a target without url", "write it like https://10.0.0.7 or https://bmc.example:8443")
	}
	if t.URL, err = target.CanonicalURL(t.URL); err != nil {
		return fail("url", err.Error(), "")
	}
	if r.CAFile != "" && r.Pin != "" {
		return fail("pin", "ca_file and pin exclude each other", "a pin alone decides; remove one of the two")
	}
	if t.Pin != "" {
		if t.Pin, err = target.ParsePin(t.Pin); err != nil {
			return fail("pin", err.Error(), "postern serve --target shows the pin of a device")
		}
	}
	if t.User == "" {
		return fail("user", fmt.Sprintf("target %q has no user", t.Name), "user: the device account that Postern logs in with")
	}
	if t.Certificate, t.Source, err = d.credential(i); err != nil {
		return Target{}, err
	}
	switch {
	case !slices.Contains([]string{"auto", "session", "basic", "certificate"}, t.Auth):
		return fail("auth", fmt.Sprintf("unknown auth %q", t.Auth), "auto, session, basic or certificate")
	case t.Auth == "certificate" && t.Certificate == "":
		return fail("auth", fmt.Sprintf("target %q has no certificate to log in with", t.Name), "give cert_file and key_file in the place of a password")
	case t.Certificate != "" && (t.Auth == "session" || t.Auth == "basic"):
		return fail("auth", fmt.Sprintf("auth %q logs in with a password, and cert_file stands in its place", t.Auth), "auto or certificate, or a password")
	}
	for _, c := range []struct {
		key string
		n   int
	}{{"budget", t.Budget}, {"in_flight", t.InFlight}, {"lockout_threshold", t.LockoutThreshold}} {
		if c.n < 0 || c.n > maxCount {
			return fail(c.key, fmt.Sprintf("%s is %d", c.key, c.n), fmt.Sprintf("1 to %d, or left out", maxCount))
		}
	}
	if r.LockoutWindow != "" {
		t.LockoutWindow, err = time.ParseDuration(r.LockoutWindow)
		if err != nil || t.LockoutWindow <= 0 {
			return fail("lockout_window", fmt.Sprintf("%q is not a duration", r.LockoutWindow), "for instance 30m or 1h")
		}
	}
	return t, nil
}

// family checks the name of a family and returns its profiles.
func (d *document) family(name string, known []Known, path ...any) ([]string, error) {
	var served []string
	for _, k := range known {
		if k.Family == name {
			return k.Profiles, nil
		}
		served = append(served, k.Family)
	}
	return nil, d.fail(fmt.Sprintf("family %q is not served by this build", name), "families: "+strings.Join(served, ", "), append(path, "family")...)
}

// credential says where the target's certificate and its key are, or else its
// password.
func (d *document) credential(i int) (certificate, source string, err error) {
	r := d.raw.Targets[i]
	if r.CertFile == "" && r.KeyFile == "" {
		source, err = d.source(i)
		return "", source, err
	}
	const hint = "cert_file and key_file go together, in the place of a password"
	switch {
	case r.CertFile == "":
		return "", "", d.fail("key_file without cert_file", hint, "targets", i, "key_file")
	case r.KeyFile == "":
		return "", "", d.fail("cert_file without key_file", hint, "targets", i, "cert_file")
	case r.PasswordFile+r.PasswordEnv+r.PasswordCommand != "":
		return "", "", d.fail(fmt.Sprintf("target %q has a certificate and a password", r.Name), hint, "targets", i, "cert_file")
	}
	return "file:" + beside(d.name, r.CertFile), "file:" + beside(d.name, r.KeyFile), nil
}

// source is the one reference to the target's password.
func (d *document) source(i int) (string, error) {
	r := d.raw.Targets[i]
	const hint = "give exactly one of password_file, password_env and password_command"
	n, source, key := 0, "", "name"
	if r.PasswordFile != "" {
		n, source, key = n+1, "file:"+beside(d.name, r.PasswordFile), "password_file"
	}
	if r.PasswordEnv != "" {
		n, source, key = n+1, "env:"+r.PasswordEnv, "password_env"
		if !envName.MatchString(r.PasswordEnv) {
			return "", d.fail(fmt.Sprintf("%q is not the name of an environment variable", r.PasswordEnv), "", "targets", i, key)
		}
	}
	if r.PasswordCommand != "" {
		n, source, key = n+1, "command:"+r.PasswordCommand, "password_command"
		if len(strings.Fields(r.PasswordCommand)) == 0 {
			return "", d.fail("password_command is empty", "", "targets", i, key)
		}
	}
	switch {
	case n == 0:
		return "", d.fail(fmt.Sprintf("target %q has no password", r.Name), hint, "targets", i, key)
	case n > 1:
		return "", d.fail(fmt.Sprintf("target %q has more than one password", r.Name), hint, "targets", i, key)
	}
	return source, nil
}

func (d *document) listener(i int, known []Known, targets map[string]bool) (Listener, error) {
	r := d.raw.Listeners[i]
	l := Listener{Family: r.Family, Names: r.Names}
	if l.Family == "" {
		l.Family = "redfish"
	}
	fail := func(key, msg, hint string) (Listener, error) {
		return Listener{}, d.fail(msg, hint, "listeners", i, key)
	}
	if _, err := d.family(l.Family, known, "listeners", i); err != nil {
		return Listener{}, err
	}
	var err error
	if l.Host, l.Port, err = SplitAddress(r.Address); err != nil {
		return fail("address", err.Error(), "HOST or HOST:PORT, for instance 127.0.0.1 or 0.0.0.0:8443; without a port each target gets its own")
	}
	const want = "next: targets, tree, or the name of a target"
	if len(r.Next) == 0 {
		return fail("next", "a listener without next", want)
	}
	for _, name := range r.Next {
		switch {
		case name == "targets" && len(r.Next) == 1:
			l.All = true
		case name == "tree" && len(r.Next) == 1:
			l.Tree = true
		case targets[name]:
			l.Targets = append(l.Targets, name)
		default:
			return fail("next", fmt.Sprintf("next: %q is not a target of this file", name), want)
		}
	}
	switch l.ClientCertificates = ClientCertificates(r.ClientCertificates); l.ClientCertificates {
	case "", CertificatesOff, CertificatesOn, CertificatesRequired:
	default:
		return fail("client_certificates", fmt.Sprintf("unknown client_certificates %q", r.ClientCertificates), "off, on or required")
	}
	if (r.CertFile == "") != (r.KeyFile == "") {
		return fail("address", "cert_file and key_file belong together", "give both, or leave both out")
	}
	if r.CertFile != "" {
		l.CertFile, l.KeyFile = beside(d.name, r.CertFile), beside(d.name, r.KeyFile)
	}
	for _, name := range l.Names {
		if !IsHost(name) && net.ParseIP(name) == nil {
			return fail("names", fmt.Sprintf("%q is not a host name", name), "for instance bmc1.example or \"*.bmc.example\"")
		}
	}
	return l, nil
}

// crowded refuses what the file cannot mean yet: several targets behind one
// port, and one target, or the tree, behind two listeners.
func (d *document) crowded(f *File) error {
	taken := map[string]bool{}
	all, tree := false, false
	for i, l := range f.Listeners {
		if l.Tree && tree {
			return d.fail("two listeners for the tree", "one is enough: \":8443\" is every address", "listeners", i, "next")
		}
		tree = tree || l.Tree
		if l.All && all {
			return d.fail("two listeners for all targets", "name the targets: next: [bmc1, bmc2]", "listeners", i, "next")
		}
		all = all || l.All
		for _, name := range l.Targets {
			if taken[name] {
				return d.fail(fmt.Sprintf("target %q has two listeners", name), "one listener for each target", "listeners", i, "next")
			}
			taken[name] = true
		}
	}
	for i, l := range f.Listeners {
		n := len(l.Targets)
		if l.All {
			n = len(f.Targets) - len(taken)
		}
		if l.Port != 0 && n > 1 {
			return d.fail(fmt.Sprintf("%d targets behind one port", n),
				"a port for each target: leave the port out, or write a listener for each", "listeners", i, "address")
		}
	}
	return nil
}

// IsHost reports whether s is the name of a host, with or without a leading
// "*.", that a certificate can be made out for. A literal address is none.
func IsHost(s string) bool {
	return len(s) <= maxHost && hostName.MatchString(s) && net.ParseIP(s) == nil
}

// maxHost is the length of the longest name in the DNS, in bytes (RFC 1035, 2.3.4).
const maxHost = 253

// SplitAddress reads HOST, HOST:PORT, :PORT or [IPv6]:PORT. Port 0 is "none given".
func SplitAddress(s string) (host string, port int, err error) {
	bad := fmt.Errorf("%q is not an address to listen on", s)
	if s == "" {
		return "", 0, bad
	}
	host = s
	if h, p, splitErr := net.SplitHostPort(s); splitErr == nil {
		host = h
		if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 65535 {
			return "", 0, bad
		}
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	_, notPort := strconv.Atoi(host) // a number alone is a port that lacks its colon
	if host != "" && net.ParseIP(host) == nil && (strings.HasPrefix(host, "*") || !hostName.MatchString(host) || notPort == nil) {
		return "", 0, bad
	}
	return host, port, nil
}
