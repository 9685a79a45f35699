package cli

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/config"
)

// The exit statuses. They are part of the command line's promise.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2 // the command line or the configuration is wrong; nothing was done
	exitRefused = 3 // a certificate or credentials were not accepted
)

const exitStatusText = `postern ends with

  0  done
  1  failed: it was tried and did not work, or a check found something wrong
  2  the command line or the configuration is wrong, and nothing was done
  3  refused: a device's certificate is not known, or credentials were not
     accepted
`

// A failure is an error with the exit status and the hint that belong to it.
type failure struct {
	status int
	err    error
	hint   string // "" = nothing to add
}

func (f *failure) Error() string { return f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// usage is an error in what was typed.
func usage(hint, format string, a ...any) error {
	return &failure{status: exitUsage, err: fmt.Errorf(format, a...), hint: hint}
}

// hinted adds a hint to err.
func hinted(err error, hint string) error {
	return &failure{status: status(err), err: err, hint: hint}
}

func status(err error) int {
	if f, ok := errors.AsType[*failure](err); ok {
		return f.status
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return exitUsage
	}
	switch admin.CodeOf(err) {
	case admin.Invalid:
		return exitUsage
	case admin.Refused:
		return exitRefused
	}
	return exitFailed
}

func hint(err error) string {
	if f, ok := errors.AsType[*failure](err); ok && f.hint != "" {
		return f.hint
	}
	if e, ok := errors.AsType[*config.Error](err); ok {
		return e.Hint
	}
	if e, ok := errors.AsType[*admin.Error](err); ok {
		return e.Hint
	}
	return ""
}

// complain writes err for a person.
func complain(w io.Writer, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(w, "postern: %s\n", harmless(strings.TrimRight(line, "\n")))
	}
	if h := hint(err); h != "" {
		fmt.Fprintf(w, "postern: hint: %s\n", h)
	}
}

// exactly takes n arguments, named for the complaint.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return usage(seeHelp(cmd), "unexpected argument %q", args[len(names)])
		case len(args) < len(names):
			return usage(seeHelp(cmd), "%s is missing", names[len(args)])
		}
		return nil
	}
}

func seeHelp(cmd *cobra.Command) string { return "see " + cmd.CommandPath() + " --help" }

// maxComplaint bounds a line of a complaint, in bytes. What a device sent may be
// quoted in it, at any length.
const maxComplaint = 2000

// harmless writes what could steer a terminal in escapes.
func harmless(line string) string {
	if len(line) > maxComplaint {
		line = strings.ToValidUTF8(line[:maxComplaint], "") + "..."
	}
	var b strings.Builder
	for _, r := range line {
		if unicode.IsGraphic(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToGraphic(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}
