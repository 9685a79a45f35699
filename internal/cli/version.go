package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A versionInfo is what the program was built from.
type versionInfo struct {
	Version  string   `json:"version"`
	Revision string   `json:"revision,omitempty"` // of the source
	Time     string   `json:"time,omitempty"`     // of the revision
	Modified bool     `json:"modified,omitempty"` // the source differed from it
	Go       string   `json:"go"`
	OS       string   `json:"os"`
	Arch     string   `json:"arch"`
	Modules  []module `json:"modules"` // what is linked in
}

type module struct {
	Path    string `json:"path"`
	Version string `json:"version"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which build this is, and what it is built from", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			v := a.build()
			return a.print(v, func(w io.Writer) {
				fmt.Fprintf(w, "postern %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
				if v.Revision != "" {
					note := ""
					if v.Modified {
						note = ", with changes"
					}
					fmt.Fprintf(w, "revision %s of %s%s\n", v.Revision, v.Time, note)
				}
				for _, m := range v.Modules {
					fmt.Fprintf(w, "  %s %s\n", m.Path, m.Version)
				}
			})
		},
	}
}

func (a *app) build() versionInfo {
	v := versionInfo{Version: a.version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Modules: []module{}}
	if info, ok := debug.ReadBuildInfo(); ok {
		if v.Version == "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.time":
				v.Time = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
		for _, m := range info.Deps {
			if m.Replace != nil {
				m = m.Replace
			}
			v.Modules = append(v.Modules, module{m.Path, m.Version})
		}
	}
	if v.Version == "" {
		v.Version = "unknown"
	}
	return v
}
