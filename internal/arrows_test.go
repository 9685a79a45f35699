// Package internal_test guards which package may import which.
package internal_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/postern/postern"

// An arrow is what one package may import, tests apart, besides the standard
// library.
type arrow struct {
	ours   string // packages of this module
	others string // packages of other modules
	// noHTTP: neither it nor anything it imports may import net/http.
	noHTTP bool
}

// arrows point down: what stands higher may import what stands lower, and a
// package that is not here is a new line to be thought about. No family imports
// another, the core or a store; the gateway knows no family; only serve sees
// everything.
var arrows = map[string]arrow{
	"cmd/postern": {ours: "internal/cli"},

	"internal/cli": {
		ours:   "auth internal/admin internal/audit internal/backup internal/certs internal/client internal/config internal/demo internal/enroll internal/keyring internal/leakcheck internal/saved internal/seal internal/serve internal/sim internal/target",
		others: "github.com/spf13/cobra golang.org/x/term",
	},
	"internal/leakcheck": {ours: "auth internal/account internal/serve internal/sim"},
	"internal/demo":      {ours: "auth internal/account internal/admin internal/serve internal/sim internal/target"},
	"internal/serve": {
		ours: "auth internal/account internal/admin internal/audit internal/authority internal/backup internal/client internal/config internal/gateway internal/lease internal/metrics " +
			"internal/policy internal/seal internal/service/redfish internal/session internal/sim internal/store internal/target internal/trust redfish",
	},

	"internal/client":  {ours: "auth internal/saved"},
	"internal/enroll":  {ours: "auth internal/trust"},
	"internal/admin":   {ours: "auth internal/account internal/audit internal/lease internal/policy internal/session internal/target internal/trust"},
	"internal/config":  {ours: "auth internal/policy internal/target", others: "github.com/goccy/go-yaml github.com/goccy/go-yaml/ast github.com/goccy/go-yaml/parser github.com/goccy/go-yaml/token"},
	"internal/gateway": {ours: "auth internal/audit internal/lease internal/policy internal/target"},
	"internal/sim":     {ours: "auth internal/account internal/admin internal/directory internal/mail internal/passcode internal/service/hpe internal/service/redfish internal/trust redfish"},

	"internal/service/redfish": {ours: "auth internal/admin redfish"},
	"internal/service/hpe":     {ours: "auth internal/admin internal/directory internal/service/redfish redfish"},

	"internal/store":           {ours: "auth internal/account internal/lease internal/policy internal/session internal/target internal/trust", others: "modernc.org/sqlite"},
	"internal/store/storetest": {ours: "auth internal/account internal/lease internal/policy internal/session internal/store internal/target internal/trust", others: "github.com/google/go-cmp/cmp github.com/google/go-cmp/cmp/cmpopts"},

	"internal/lease":     {ours: "auth internal/audit internal/seal"},
	"internal/saved":     {ours: "auth", noHTTP: true},
	"internal/keyring":   {ours: "auth", others: "github.com/zalando/go-keyring", noHTTP: true},
	"internal/target":    {ours: "auth internal/seal"},
	"internal/authority": {ours: "auth internal/account internal/audit internal/policy internal/session internal/trust", noHTTP: true},
	"internal/session":   {ours: "auth internal/account internal/audit", noHTTP: true},
	"internal/account":   {ours: "auth", others: "golang.org/x/crypto/argon2 golang.org/x/crypto/bcrypt", noHTTP: true},
	"internal/trust":     {ours: "auth", others: "golang.org/x/crypto/ocsp", noHTTP: true},
	"internal/directory": {ours: "auth internal/mail", others: "github.com/go-ldap/ldap/v3"},
	"internal/mail":      {noHTTP: true},
	"internal/passcode":  {ours: "auth", noHTTP: true},
	"internal/certs":     {ours: "auth internal/trust", others: "golang.org/x/crypto/scrypt software.sslmate.com/src/go-pkcs12", noHTTP: true},
	"internal/audit":     {ours: "auth", noHTTP: true},
	"internal/backup":    {ours: "auth", others: "filippo.io/age", noHTTP: true},
	"internal/policy":    {ours: "auth", noHTTP: true},
	"internal/metrics":   {ours: "internal/audit", others: "github.com/prometheus/client_golang/prometheus github.com/prometheus/client_golang/prometheus/collectors github.com/prometheus/client_golang/prometheus/promhttp"},
	"internal/seal":      {ours: "auth", noHTTP: true},

	"redfish": {ours: "auth"},
	"auth":    {noHTTP: true},

	// Test helpers and tools, which nothing above may import.
	"internal/wiretest": {},

	"internal/directory/directorytest": {others: "github.com/go-asn1-ber/asn1-ber github.com/go-ldap/ldap/v3"},
	"internal/mail/mailtest":           {noHTTP: true},

	"interop":     {},
	"tools/tally": {},
}

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
}

func TestArrows(t *testing.T) {
	t.Parallel()
	listed := list(t)
	for _, p := range listed {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		a, ok := arrows[name]
		if !ok {
			if name != "internal" { // this test alone
				t.Errorf("%s has no line in arrows: say what it may import", name)
			}
			continue
		}
		for _, i := range p.Imports {
			own, ours := strings.CutPrefix(i, module+"/")
			switch {
			case ours && !slices.Contains(strings.Fields(a.ours), own):
				t.Errorf("%s imports %s", name, own)
			case !ours && strings.Contains(strings.SplitN(i, "/", 2)[0], ".") && !slices.Contains(strings.Fields(a.others), i):
				t.Errorf("%s imports %s", name, i)
			}
		}
		if a.noHTTP && slices.Contains(p.Deps, "net/http") {
			t.Errorf("%s depends on net/http", name)
		}
	}
	for name := range arrows {
		if !slices.ContainsFunc(listed, func(p pkg) bool { return p.ImportPath == module+"/"+name }) {
			t.Errorf("arrows has a line for %s, which is not there", name)
		}
	}
}

func list(t *testing.T) []pkg {
	t.Helper()
	touchSources(t)
	cmd := exec.Command("go", "list", "-json=ImportPath,Standard,Imports,Deps", module+"/...")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, &errs)
	}
	var all []pkg
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// touchSources looks at every source file, so that go test does not take an
// earlier result for one of today: it knows nothing of what go list reads.
func touchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != ".." {
			return cmp.Or(err, filepath.SkipDir)
		}
		if strings.HasSuffix(path, ".go") {
			_, err = os.Stat(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
