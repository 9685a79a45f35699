package target

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postern/postern/auth"
)

const (
	// maxPassword bounds what is read from a source, in bytes. No device takes as much.
	maxPassword = 4 << 10
	// commandLimit bounds the run of a password command: callers wait for it.
	commandLimit = 10 * time.Second
	// commandGrace is how long a child of an ended command may hold its output.
	commandGrace = time.Second
)

// read gets the password, or a key, from its source, of at most that many bytes.
// exposed is the mode of a file that others than its owner can reach, else 0.
func (s source) read(ctx context.Context, most int) (password auth.Secret, exposed fs.FileMode, err error) {
	var b []byte
	switch s.kind {
	case "file":
		b, exposed, err = readBounded("password file", s.value, most)
	case "env":
		v, ok := os.LookupEnv(s.value)
		if !ok {
			return auth.Secret{}, 0, fmt.Errorf("environment variable %s is not set", s.value)
		}
		b = []byte(v)
	default:
		b, err = runPassword(ctx, s.value, most)
	}
	if err != nil {
		return auth.Secret{}, 0, err
	}
	if len(b) > most {
		return auth.Secret{}, 0, fmt.Errorf("%s holds more than %d bytes", s, most)
	}
	if s.kind != "env" {
		b = dropNewline(b)
	}
	if len(b) == 0 {
		return auth.Secret{}, 0, fmt.Errorf("%s is empty", s)
	}
	if !utf8.Valid(b) {
		// JSON would carry another password, and the device would count it as wrong.
		return auth.Secret{}, 0, fmt.Errorf("%s holds no UTF-8 text", s)
	}
	return auth.NewSecret(string(b)), exposed, nil
}

// CommandPassword returns what a password command writes, as a Source
// "command:LINE" has it read: without a shell, in bounded time.
func CommandPassword(ctx context.Context, line string) (auth.Secret, error) {
	s, err := parseSource("command:" + line)
	if err != nil {
		return auth.Secret{}, err
	}
	password, _, err := s.read(ctx, maxPassword)
	return password, err
}

// String names the source without the arguments of a command, which may be secret.
func (s source) String() string {
	switch s.kind {
	case "file":
		return "password file " + s.value
	case "env":
		return "environment variable " + s.value
	}
	return "the output of password command " + filepath.Base(strings.Fields(s.value)[0])
}

// dropNewline drops one newline at the end, as editors write it.
func dropNewline(b []byte) []byte {
	if b, ok := bytes.CutSuffix(b, []byte("\n")); ok {
		return bytes.TrimSuffix(b, []byte("\r"))
	}
	return b
}

// readBounded reads a file that is called what, and one byte more than the most it
// may have. The mode is that of a file that others can reach, else 0.
func readBounded(what, path string, most int) ([]byte, fs.FileMode, error) {
	// Stat first: opening a pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", what, err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, fmt.Errorf("%s %s is not a regular file; it is read before every login", what, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", what, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", what, err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return b, mode, nil
	}
	return b, 0, nil
}

// runPassword runs a command line, split at blanks, without a shell. What it
// writes to stderr is not shown: it may hold the secret.
func runPassword(ctx context.Context, line string, most int) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, commandLimit, fmt.Errorf("it ran longer than %s", commandLimit))
	defer cancel()
	fields := strings.Fields(line)
	out := &boundedBuffer{most: most}
	cmd := exec.CommandContext(ctx, fields[0], fields[1:]...)
	cmd.Stdout = out
	cmd.WaitDelay = commandGrace
	err := cmd.Run()
	if len(out.b) > most {
		return out.b, nil // too much is the news, not how the command then died
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if failed, ok := errors.AsType[*exec.Error](err); ok {
		err = failed.Err
	}
	if err != nil {
		return nil, fmt.Errorf("password command %s: %w", filepath.Base(fields[0]), err)
	}
	return out.b, nil
}

var errTooMuch = errors.New("too much output")

// A boundedBuffer takes one byte more than a password may have, and then fails,
// which ends the command. It does not embed its buffer, whose ReadFrom would let
// io.Copy pass by Write.
type boundedBuffer struct {
	b    []byte
	most int
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	if room := b.most + 1 - len(b.b); len(p) > room {
		b.b = append(b.b, p[:room]...)
		return room, errTooMuch
	}
	b.b = append(b.b, p...)
	return len(p), nil
}
