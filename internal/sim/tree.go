package sim

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path"
	"strings"
	"sync"

	"github.com/postern/postern/redfish"
)

const (
	versionsPath = "/redfish"
	rootPath     = "/redfish/v1" // the service root; requests may add one slash
	servicePath  = rootPath + "/SessionService"
	sessionsPath = servicePath + "/Sessions"

	copyright = "@Redfish.Copyright" // allowed in registries only, yet every DMTF mockup has it
)

// Bounds of a tree that somebody hands in. The largest published mockup has
// 543 files, the largest registry in one is below 1 MB.
const (
	maxTreeFiles = 20_000
	maxTreeFile  = 8 << 20
	maxTreeBytes = 256 << 20
)

// A Tree is what a device serves before anything is changed on it. It is read
// once, never changed, and may be shared by any number of devices.
type Tree struct {
	files   map[string]*file // by path, without a slash at the end
	targets map[string]bool  // of actions
	living  bool             // the built-in one, with behaviour
}

// A file is one resource or document. It is never changed, only replaced.
type file struct {
	body  []byte
	media string
	etag  string // strong, of the body
}

const (
	mediaJSON = "application/json"
	mediaXML  = "application/xml"
	mediaYAML = "application/yaml"
)

func newFile(body []byte, media string) *file {
	sum := sha256.Sum256(body)
	return &file{body: body, media: media, etag: `"` + hex.EncodeToString(sum[:8]) + `"`}
}

// has reports whether the file is a JSON document with that member at its top.
func (f *file) has(name string) bool {
	return f.media == mediaJSON && lookup(f.body, name) != nil
}

//go:embed all:tree
var embedded embed.FS

// builtIn returns the living tree, read once for all devices of the process.
var builtIn = sync.OnceValues(func() (*Tree, error) {
	root, err := fs.Sub(embedded, "tree")
	if err != nil {
		return nil, err
	}
	t, err := readTree(root)
	if err != nil {
		return nil, err
	}
	t.living = true
	return t, nil
})

// ReadMockup reads a mockup directory in the DMTF's short form (the directory
// is /redfish/v1, each resource is PATH/index.json) or long form (redfish/v1
// lies below it). Members named @Redfish.Copyright are cut out; nothing else is
// changed. What lies outside the directory is not reached, whatever links
// there are in it. Every *.json must be JSON; the errors name the file.
func ReadMockup(dir string) (*Tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("mockup: %w", err)
	}
	defer root.Close()
	t, err := readTree(root.FS())
	if err != nil {
		return nil, fmt.Errorf("mockup %s: %w", dir, err)
	}
	t.describe()
	return t, nil
}

func readTree(dir fs.FS) (*Tree, error) {
	base, err := treeBase(dir)
	if err != nil {
		return nil, err
	}
	t := &Tree{files: make(map[string]*file), targets: make(map[string]bool)}
	total := 0
	err = fs.WalkDir(dir, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at, media := place(base, name)
		if d.IsDir() || media == "" || !regular(dir, name) {
			return nil
		}
		body, err := readFile(dir, name)
		if err != nil {
			return err
		}
		total += len(body)
		if total > maxTreeBytes || len(t.files) >= maxTreeFiles {
			return fmt.Errorf("more than %d files or %d bytes", maxTreeFiles, maxTreeBytes)
		}
		return t.add(at, name, media, body)
	})
	if err != nil {
		return nil, err
	}
	if root := t.files[rootPath]; root == nil || !isObject(lookup(root.body)) {
		return nil, errNoRoot
	}
	for at := range t.files { // the living one takes its place
		if at == servicePath || within(at, servicePath) {
			delete(t.files, at)
		}
	}
	return t, nil
}

var errNoRoot = errors.New("no service root: neither index.json nor redfish/v1/index.json is one")

// treeBase returns the path at which the directory itself is served. It looks
// before anything is read, so that a directory that is no mockup, however
// large, is refused at once.
func treeBase(dir fs.FS) (string, error) {
	if _, err := fs.Stat(dir, "redfish/v1/index.json"); err == nil {
		return "", nil
	}
	if _, err := fs.Stat(dir, "index.json"); err != nil {
		return "", errNoRoot
	}
	return rootPath, nil
}

// place says where a file of a mockup is served and as what; "" for nowhere:
// files of other kinds, and those with a name that no client can ask for.
func place(base, name string) (at, media string) {
	dir, last := path.Split(name)
	switch last {
	case "explorer_config.json", "headers.json", "time.json":
		return "", "" // for the tools around a mockup, not for its clients
	}
	switch path.Ext(last) {
	case ".json":
		media = mediaJSON
	case ".xml":
		media = mediaXML
	case ".yaml":
		media = mediaYAML
	default:
		return "", ""
	}
	if last == "index.json" || last == "index.xml" || last == "index.yaml" {
		name = dir
	}
	at, err := redfish.Canonical((&url.URL{Path: base + "/" + name}).EscapedPath())
	if err != nil {
		return "", ""
	}
	return strings.TrimSuffix(at, "/"), media
}

// regular keeps what blocks or never ends (pipes, devices) from being read. A
// link that leads out of the directory is reported by the reading.
func regular(dir fs.FS, name string) bool {
	info, err := fs.Stat(dir, name)
	return err != nil || info.Mode().IsRegular()
}

func readFile(dir fs.FS, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxTreeFile+1))
	if err == nil && len(body) > maxTreeFile {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxTreeFile)
	}
	return body, err
}

func (t *Tree) add(at, name, media string, body []byte) error {
	if media == mediaJSON {
		body = trimBOM(body)
		if !json.Valid(body) {
			return fmt.Errorf("%s: not JSON", name)
		}
		body = cut(body, copyright)
		t.collectTargets(body)
	}
	t.files[at] = newFile(body, media)
	return nil
}

// collectTargets remembers the URIs of the actions that a resource offers.
func (t *Tree) collectTargets(body []byte) {
	var r struct{ Actions json.RawMessage }
	if json.Unmarshal(body, &r) == nil && isObject(r.Actions) {
		t.walkTargets(r.Actions)
	}
}

func (t *Tree) walkTargets(object []byte) {
	ps, _ := parts(object, skipSpace(object, 0))
	for _, p := range ps {
		v := object[p.start:p.end]
		switch {
		case p.name == "target" && v[0] == '"':
			t.targets[strings.TrimSuffix(unquote(v), "/")] = true
		case isObject(v):
			t.walkTargets(v) // Oem actions lie one deeper
		}
	}
}
