package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a folder", Args: exactly("DIR"),
		Long: `Write a manual page of section 1 for every command into DIR, which is made where it
is missing. They say what --help says.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			n := 0
			for _, c := range allCommands(cmd.Root()) {
				var page bytes.Buffer
				a.manPage(&page, c)
				if err := os.WriteFile(filepath.Join(args[0], manName(c)+".1"), page.Bytes(), 0o644); err != nil {
					return err
				}
				n++
			}
			a.say("wrote %d pages; man -M or MANPATH takes the folder above one that is called man1", n)
			return nil
		},
	}
}

// allCommands are c and what is under it.
func allCommands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if !sub.Hidden {
			all = append(all, allCommands(sub)...)
		}
	}
	return all
}

// manName is the page of a command: postern-target-add.
func manName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// manPage writes a page in the macros of man(7). It has no date, so that the same
// build writes the same pages.
func (a *app) manPage(w io.Writer, c *cobra.Command) {
	name := manName(c)
	fmt.Fprintf(w, ".TH %s 1 \"\" %s Postern\n", roff(strings.ToUpper(name)), roffQuote("postern "+a.build().Version))
	fmt.Fprintf(w, ".SH NAME\n%s \\- %s\n", roff(name), roff(c.Short))
	if c.Runnable() {
		fmt.Fprintf(w, ".SH SYNOPSIS\n.B %s\n", roff(c.UseLine()))
	}
	if c.Long != "" {
		fmt.Fprintf(w, ".SH DESCRIPTION\n")
		manText(w, c.Long)
	}
	if subs := c.Commands(); len(subs) > 0 {
		fmt.Fprintf(w, ".SH COMMANDS\n")
		for _, sub := range subs {
			if !sub.Hidden {
				fmt.Fprintf(w, ".TP\n.BR %s (1)\n%s\n", roff(manName(sub)), roff(sub.Short))
			}
		}
	}
	for _, f := range [][2]string{
		{"OPTIONS", c.NonInheritedFlags().FlagUsages()}, {"OPTIONS OF EVERY COMMAND", c.InheritedFlags().FlagUsages()},
	} {
		if f[1] != "" {
			fmt.Fprintf(w, ".SH %s\n", f[0])
			manExample(w, strings.TrimRight(f[1], "\n"))
		}
	}
	if !c.HasParent() {
		fmt.Fprintf(w, ".SH EXIT STATUS\n")
		manText(w, strings.TrimSuffix(exitStatusText, "\n"))
		return
	}
	fmt.Fprintf(w, ".SH SEE ALSO\n.BR %s (1)\n", roff(manName(c.Parent())))
}

// manText writes paragraphs; what is indented stays as it is.
func manText(w io.Writer, text string) {
	for i, p := range strings.Split(text, "\n\n") {
		if i > 0 {
			fmt.Fprintln(w, ".PP")
		}
		if strings.HasPrefix(p, "  ") {
			manExample(w, p)
			continue
		}
		for line := range strings.Lines(p) {
			fmt.Fprintln(w, roff(strings.TrimRight(line, "\n")))
		}
	}
}

func manExample(w io.Writer, text string) {
	fmt.Fprintln(w, ".nf")
	for line := range strings.Lines(text) {
		fmt.Fprintln(w, roff(strings.TrimRight(line, "\n")))
	}
	fmt.Fprintln(w, ".fi")
}

// roff escapes text for a line of its own or the end of one (groff(7)).
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		return `\&` + s
	}
	return s
}

// roffQuote makes one argument of a macro.
func roffQuote(s string) string { return `"` + strings.ReplaceAll(roff(s), `"`, `\(dq`) + `"` }
