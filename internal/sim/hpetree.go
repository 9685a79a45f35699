package sim

import (
	"embed"
	"io/fs"
	"maps"
	"net/http"
	"strings"
	"sync"

	"github.com/postern/postern/redfish"
)

//go:embed all:tree-ilo all:tree-rmc
var hpeTrees embed.FS

// iloTree is the built-in tree with what an iLO has in other words; the rest is
// for the service in front of it.
var iloTree = sync.OnceValues(func() (*Tree, error) {
	common, err := builtIn()
	if err != nil {
		return nil, err
	}
	own, err := readEmbedded("tree-ilo")
	if err != nil {
		return nil, err
	}
	t := &Tree{files: maps.Clone(common.files), targets: maps.Clone(common.targets), living: true}
	for at := range t.files { // an iLO has one of its own
		if at == licenseServicePath || within(at, licenseServicePath) {
			delete(t.files, at)
		}
	}
	maps.Copy(t.files, own.files)
	maps.Copy(t.targets, own.targets)
	return t, nil
})

// rmcTree is that of a Superdome Flex: no machine behind it lives.
var rmcTree = sync.OnceValues(func() (*Tree, error) {
	t, err := readEmbedded("tree-rmc")
	if err != nil {
		return nil, err
	}
	t.describe()
	return t, nil
})

// accountsOnly has the service answer for the accounts alone: of the rest a
// device's tree has its own.
func accountsOnly(service, tree http.Handler) http.Handler {
	const accounts = rootPath + "/AccountService"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, err := redfish.Canonical(r.URL.EscapedPath()); err == nil && (path == accounts || within(path, accounts)) {
			service.ServeHTTP(w, r)
			return
		}
		tree.ServeHTTP(w, r)
	})
}

func readEmbedded(name string) (*Tree, error) {
	root, err := fs.Sub(hpeTrees, name)
	if err != nil {
		return nil, err
	}
	return readTree(root)
}

// wholeTypes are the types of the tree as @odata.type has them.
func (t *Tree) wholeTypes() []string {
	var types []string
	for _, ns := range t.types() {
		name, _, _ := strings.Cut(ns, ".")
		types = append(types, "#"+ns+"."+name)
	}
	return types
}
