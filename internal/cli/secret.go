package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/target"
)

// maxSecret bounds what is read as a password, in bytes: longer than any that a
// device or an account takes.
const maxSecret = 4096

// secretFlags say where a password comes from; the password itself is never on
// the command line, where every user of the machine could read it.
type secretFlags struct {
	file    string
	env     string
	command string
}

func (s *secretFlags) add(cmd *cobra.Command) { s.addAs(cmd, "password", "the password") }

// addAs calls the flags by another word, and says what they are for.
func (s *secretFlags) addAs(cmd *cobra.Command, word, what string) {
	cmd.Flags().StringVar(&s.file, word+"-file", "", "`FILE` that holds "+what+"; - is standard input")
	cmd.Flags().StringVar(&s.env, word+"-env", "", "`NAME` of the environment variable that holds "+what)
	cmd.Flags().StringVar(&s.command, word+"-command", "", "`COMMAND` that writes "+what+", run without a shell")
}

var errTwoSecrets = usage("one of them is enough", "--password-file, --password-env and --password-command exclude each other")

func (s *secretFlags) given() bool { return s.file != "" || s.env != "" || s.command != "" }

// many reports whether there is more than one source.
func (s *secretFlags) many() bool {
	n := 0
	for _, v := range []string{s.file, s.env, s.command} {
		if v != "" {
			n++
		}
	}
	return n > 1
}

// readSecret returns the password: from where the flags say, else asked for on the
// terminal, twice where it is a new one.
func (a *app) readSecret(ctx context.Context, s secretFlags, what string, isNew bool) (auth.Secret, error) {
	switch {
	case s.many():
		return auth.Secret{}, errTwoSecrets
	case s.file == "-":
		return readSecret(a.stdin, "standard input")
	case s.file != "":
		f, err := os.Open(s.file)
		if err != nil {
			return auth.Secret{}, usage("", "read the %s: %w", what, err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o044 != 0 {
			a.say("warning: other users can read %s", s.file)
		}
		return readSecret(f, s.file)
	case s.env != "":
		v := os.Getenv(s.env)
		if v == "" {
			return auth.Secret{}, usage("", "the environment variable %s is empty", s.env)
		}
		return secretText([]byte(v), "the environment variable "+s.env)
	}
	if s.command != "" {
		password, err := target.CommandPassword(ctx, s.command)
		if err != nil {
			return auth.Secret{}, usage("", "--password-command: %w", err)
		}
		return password, nil
	}
	return a.ask(what, isNew)
}

// readSecret drops one final newline, as it is dropped where a server reads the
// file again.
func readSecret(r io.Reader, from string) (auth.Secret, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return auth.Secret{}, fmt.Errorf("read %s: %w", from, err)
	}
	if line, ok := bytes.CutSuffix(data, []byte("\n")); ok {
		data = bytes.TrimSuffix(line, []byte("\r"))
	}
	switch {
	case len(data) > maxSecret:
		return auth.Secret{}, usage("", "%s holds more than a password", from)
	case len(data) == 0:
		return auth.Secret{}, usage("", "%s is empty", from)
	}
	return secretText(data, from)
}

// secretText refuses what is no text: the socket and the devices take passwords
// in JSON, which would carry another one.
func secretText(data []byte, from string) (auth.Secret, error) {
	if !utf8.Valid(data) {
		return auth.Secret{}, usage("write it in UTF-8", "%s holds no UTF-8 text", from)
	}
	return auth.NewSecret(string(data)), nil
}

// ask prompts on the terminal.
func (a *app) ask(what string, isNew bool) (auth.Secret, error) {
	if !term.IsTerminal(int(a.stdin.Fd())) {
		return auth.Secret{}, usage("use --password-file FILE (- is standard input), --password-env NAME or --password-command COMMAND", "no %s, and no terminal to ask on", what)
	}
	first, err := a.askOnce(what)
	if err != nil || !isNew {
		return first, err
	}
	second, err := a.askOnce(what + " again")
	if err != nil {
		return auth.Secret{}, err
	}
	if !first.Equal(second) {
		return auth.Secret{}, errors.New("the two passwords differ")
	}
	return first, nil
}

func (a *app) askOnce(what string) (auth.Secret, error) {
	fmt.Fprintf(a.stderr, "postern: %s: ", what)
	p, err := term.ReadPassword(int(a.stdin.Fd()))
	fmt.Fprintln(a.stderr)
	if err != nil {
		return auth.Secret{}, fmt.Errorf("read the %s: %w", what, err)
	}
	if len(p) == 0 {
		return auth.Secret{}, usage("", "the %s is empty", what)
	}
	return secretText(p, "the "+what)
}

// confirm asks a question that wants yes; anything else is no.
func (a *app) confirm(question string) (bool, error) {
	fmt.Fprintf(a.stderr, "postern: %s [yes/no] ", question)
	var answer strings.Builder
	b := make([]byte, 1)
	for answer.Len() < maxSecret { // byte by byte: what follows the line belongs to others
		n, err := a.stdin.Read(b)
		if n == 0 && err != nil && err != io.EOF {
			return false, err
		}
		if n == 0 || b[0] == '\n' {
			break
		}
		answer.WriteByte(b[0])
	}
	switch strings.ToLower(strings.TrimSpace(answer.String())) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
