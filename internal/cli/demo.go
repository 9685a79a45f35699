package cli

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern/postern/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	var cfg demo.Config
	cmd := &cobra.Command{
		Use: "demo", Short: "Show what Postern is for: a simulated BMC and 200 impatient clients", Args: exactly(),
		Long: "Start a simulated BMC with few sessions and a lockout, send 200 impatient clients straight to\n" +
			"it, then the same clients through Postern, and show both side by side. Then stay up, so that\n" +
			"it can be tried, until Ctrl-C. Without --data the state is in a temporary folder and goes\n" +
			"with the demo.",
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd, cfg) },
	}
	cmd.Flags().BoolVar(&cfg.Once, "once", false, "end after the two runs, with status 1 if Postern did not keep its promise")
	cmd.Flags().StringVar(&cfg.ReadyFile, "ready-file", "", "`FILE` to write once Postern answers")
	return cmd
}

func (a *app) runDemo(cmd *cobra.Command, cfg demo.Config) error {
	logs := cmd.Flags().Changed("log-level")
	level := "warn" // a line for each request would hide what is to be seen
	if logs {
		level = a.logLevel
	}
	var err error
	if cfg.Log, err = newLogger(a.stderr, level, a.logFormat); err != nil {
		return err
	}
	cfg.Data, cfg.Program, cfg.Screen = a.data, program(), a.screen()
	if logs && isTerminal(a.stderr) {
		cfg.Screen.Live = false // the log would be drawn over
	}
	ctx, stop := untilSignal(cmd.Context())
	defer stop()
	r, err := demo.Run(ctx, cfg)
	if err != nil {
		return serveFault(err)
	}
	if a.output == "json" {
		if err := a.print(r, nil); err != nil {
			return err
		}
	}
	switch {
	case cfg.Once && ctx.Err() != nil:
		return errors.New("ended before the two runs were over")
	case cfg.Once && !r.Kept:
		return errors.New("the promise was not kept")
	}
	return nil
}

// screen is what there is to draw on: standard output, unless that is for JSON.
func (a *app) screen() demo.Screen {
	out := a.stdout
	if a.output == "json" {
		out = a.stderr
	}
	s := demo.Screen{Out: out, Blocks: speaksUTF8()}
	if isTerminal(out) {
		s.Live = os.Getenv("TERM") != "" && os.Getenv("TERM") != "dumb"
		s.Colour = s.Live && os.Getenv("NO_COLOR") == ""
		s.Columns, _, _ = term.GetSize(int(out.(*os.File).Fd()))
	}
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// speaksUTF8 asks the locale, by the order that POSIX gives the variables.
func speaksUTF8() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(os.Getenv(name)); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// program is how this program is called from another terminal.
func program() string {
	self, err := os.Executable()
	if err != nil {
		return "postern"
	}
	found, err := exec.LookPath("postern")
	if err != nil {
		return self
	}
	here, err1 := os.Stat(self)
	there, err2 := os.Stat(found)
	if err1 == nil && err2 == nil && os.SameFile(here, there) {
		return "postern"
	}
	return self
}
