// Package config reads Postern's YAML file: strictly, with every default in one
// place, and with the line and column of whatever is wrong. It opens nothing
// but the file itself and the CA files that it names; secrets are only ever
// references.
package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/target"
)

// maxFile bounds the configuration and each CA file, in bytes: thousands of
// targets fit, a mistyped path to a disk image does not.
const maxFile = 4 << 20

// A File is a configuration that was checked.
type File struct {
	Targets   []Target
	Listeners []Listener
	// Rules are tried in this order, before the built-in ones. A rule of the file
	// with several paths is several here, of the same name.
	Rules []policy.Rule
	// Metrics is where metrics and health are told, HOST:PORT; "" = nowhere. The
	// host is an address of the loopback interface.
	Metrics string
}

// A Target is one device as the file describes it.
type Target struct {
	Name, Family, Profile, URL string

	CAPEM string // what ca_file holds; "" = system roots or Pin
	Pin   string
	User  string
	// Certificate says where the client certificate is that stands for a password:
	// "file:PATH" (absolute); "" = none.
	Certificate string
	// Source says where the password, or the certificate's key, is: "file:PATH"
	// (absolute), "env:NAME" or "command:LINE".
	Source string
	Auth   string // auto, session, basic or certificate

	Budget    int // device sessions Postern may hold; 0 = the profile's value
	InFlight  int // calls at once; 0 = the default
	Exclusive bool

	LockoutThreshold int           // 0 = unknown
	LockoutWindow    time.Duration // 0 = unknown
}

// A Listener is an address that callers reach targets, or the tree, at.
type Listener struct {
	Family  string
	Host    string // a literal address or a name; "" = every address
	Port    int    // 0 = a port for each target, the one used before or a free one
	Targets []string
	All     bool     // next: targets
	Tree    bool     // next: tree
	Names   []string // further names that the certificate is made out for

	// ClientCertificates says whether clients are asked for certificates; ""
	// leaves that to whoever administers.
	ClientCertificates ClientCertificates
	// CertFile and KeyFile are absolute paths of what is shown in place of a
	// certificate of Postern's own CA; both or none.
	CertFile, KeyFile string
}

// ClientCertificates is whether a listener asks its clients for certificates.
type ClientCertificates string

// The ways.
const (
	CertificatesOff      ClientCertificates = "off"
	CertificatesOn       ClientCertificates = "on"       // a good one is a login
	CertificatesRequired ClientCertificates = "required" // no handshake without a good one
)

// Known is a family that this build serves, with its profiles.
type Known struct {
	Family   string
	Profiles []string
}

// An Error says what is wrong in a file, and where.
type Error struct {
	File         string
	Line, Column int    // counted from 1; 0 = the file as a whole
	Msg          string // one sentence, lower case
	Hint         string // what to do about it; "" = nothing to add
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
}

// Load reads the file at path and the CA files it names. Relative paths inside
// are taken from the file's folder. Every error about its content is an *Error.
func Load(path string, known []Known) (*File, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, &Error{File: path, Msg: pathErr(err), Hint: "name the file with --config"}
	}
	f, doc, err := parse(path, data, known)
	if err != nil {
		return nil, err
	}
	for i := range f.Targets {
		name := doc.raw.Targets[i].CAFile
		if name == "" {
			continue
		}
		pem, err := readBounded(beside(path, name))
		if err != nil {
			return nil, doc.fail(fmt.Sprintf("ca_file %s: %s", name, pathErr(err)),
				"paths are relative to the configuration file", "targets", i, "ca_file")
		}
		f.Targets[i].CAPEM = string(pem)
		if err := checkCA(f.Targets[i]); err != nil {
			return nil, doc.fail(fmt.Sprintf("ca_file %s: %v", name, err), "", "targets", i, "ca_file")
		}
	}
	return f, nil
}

// Parse checks data, which came from a file called name, without opening any
// other file: CAPEM stays empty.
func Parse(name string, data []byte, known []Known) (*File, error) {
	f, _, err := parse(name, data, known)
	return f, err
}

// checkCA says what is wrong with the CA of a target that is right otherwise.
func checkCA(t Target) error {
	return errors.Unwrap(target.Validate(target.Target{
		Name: t.Name, Family: t.Family, URL: t.URL, CAPEM: t.CAPEM, Account: auth.AccountName(t.User),
	}))
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("larger than %d MiB", maxFile>>20)
	}
	return data, err
}

// pathErr drops operation and path, which the sentence around it names.
func pathErr(err error) string {
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return pe.Err.Error()
	}
	return err.Error()
}

// beside resolves name from the folder of the file at path.
func beside(path, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		dir = filepath.Dir(path)
	}
	return filepath.Join(dir, name)
}
