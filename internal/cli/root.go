package cli

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// An app is one run of the program.
type app struct {
	version        string
	stdin          *os.File
	stdout, stderr io.Writer

	// Flags of every command.
	output    string // text or json
	data      string // "" = the default of the command
	logLevel  string
	logFormat string
}

// Main runs the command line of the process and returns its exit status.
// version is what the program was built as; "" = what the Go build recorded.
//
// The standard library's own log is silenced: net/http writes bytes that a
// device sent unasked to it, and they may echo a secret.
func Main(version string) int {
	log.SetOutput(io.Discard)
	a := &app{version: version, stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	return a.run(context.Background(), os.Args[1:])
}

func (a *app) run(ctx context.Context, args []string) int {
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		complain(a.stderr, err)
		return status(err)
	}
	return exitDone
}

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	root := a.group("postern", "The keeper of management controllers' logins",
		"Postern stands before management controllers (BMCs): callers log in to Postern with\n"+
			"their own credentials, and Postern keeps the few sessions that a device has.")
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage(seeHelp(cmd), "%w", err)
	})
	f := root.PersistentFlags()
	f.StringVarP(&a.output, "output", "o", "text", "`FORM` of the results: text or json")
	f.StringVar(&a.data, "data", "", "`DIR` with the state (default: the user's state directory)")
	f.StringVar(&a.logLevel, "log-level", "info", "least `LEVEL` that is logged: debug, info, warn or error")
	f.StringVar(&a.logFormat, "log-format", "text", "`FORM` of the log on standard error: text or json")
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return a.checkFlags() }
	complete(root, "output", "text", "json")
	complete(root, "log-level", "debug", "info", "warn", "error")
	complete(root, "log-format", "text", "json")
	root.AddCommand(
		a.demoCommand(), a.serveCommand(), a.simCommand(),
		a.loginCommand(), a.logoutCommand(), a.statusCommand(), a.tokenCommand(), a.sessionsCommand(), a.execCommand(), a.eachCommand(), a.listenCommand(), a.leakcheckCommand(),
		a.targetCommand(), a.accountCommand(), a.roleCommand(), a.caCommand(), a.certCommand(), a.listenerCommand(), a.auditCommand(), a.explainCommand(), a.backupCommand(), a.restoreCommand(),
		a.versionCommand(), a.manCommand(), exitStatusTopic(),
	)
	root.AddCommand(a.callCommands()...)
	strictTopics(root)
	return root
}

func (a *app) checkFlags() error {
	if a.output != "text" && a.output != "json" {
		return usage("text or json", "unknown output %q", a.output)
	}
	_, err := newLogger(io.Discard, a.logLevel, a.logFormat)
	return err
}

// complete lets the shell offer the values of a flag.
func complete(cmd *cobra.Command, flag string, values ...string) {
	err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	if err != nil {
		panic(err) // the flag does not exist: a mistake in this package
	}
}

// group is a command that only holds others.
func (a *app) group(use, short, long string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Long: long,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknown(cmd, args[0])
		},
	}
}

// unknown is the error of a word that is no command under cmd.
func unknown(cmd *cobra.Command, word string) error {
	help := seeHelp(cmd)
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		help = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage(help, "unknown command %q", strings.TrimPrefix(cmd.CommandPath()+" "+word, "postern "))
}

// strictTopics makes the two commands that cobra adds refuse a word that they do
// not know; they would print their help and end with 0.
func strictTopics(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd("completion")
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Args = func(_ *cobra.Command, args []string) error {
				at, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = unknown(at, rest[0])
				}
				return err
			}
		case "completion":
			c.Args, c.RunE = cobra.ArbitraryArgs, func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return cmd.Help()
				}
				return unknown(cmd, args[0])
			}
		}
	}
}

// exitStatusTopic is a page of help, not a command.
func exitStatusTopic() *cobra.Command {
	return &cobra.Command{Use: "exit-status", Short: "What the exit status means", Long: strings.TrimSuffix(exitStatusText, "\n")}
}

// say writes a sentence for the person at the terminal.
func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.stderr, "postern: "+format+"\n", args...)
}
