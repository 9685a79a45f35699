package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/serve"
)

func TestLogHidesSecrets(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var b bytes.Buffer
		log, err := newLogger(&b, "debug", format)
		if err != nil {
			t.Fatal(err)
		}
		ctx := auth.WithRequestID(t.Context(), "REQ1")
		log.With(slog.String("Authorization", "hunter2")).WithGroup("g").DebugContext(ctx, "login",
			slog.String("password", "hunter2"), slog.Any("credential", auth.Credential{Account: "root", Password: auth.NewSecret("hunter2")}),
			slog.String("X-Auth-Token", "hunter2"), slog.String("user", "root"))
		if got := b.String(); strings.Contains(got, "hunter2") || !strings.Contains(got, "root") || !strings.Contains(got, "REQ1") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestLogLevels(t *testing.T) {
	t.Parallel()
	for level, ok := range map[string]bool{"debug": true, "info": true, "warn": true, "error": true, "": false, "info+2": false, "loud": false} {
		if _, err := newLogger(&bytes.Buffer{}, level, "text"); (err == nil) != ok {
			t.Errorf("level %q: %v", level, err)
		}
	}
}

func TestStatusAndHint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		hint   string
	}{
		{errors.New("x"), exitFailed, ""},
		{usage("do so", "x"), exitUsage, "do so"},
		{fmt.Errorf("y: %w", usage("do so", "x")), exitUsage, "do so"},
		{&config.Error{Msg: "x", Hint: "there"}, exitUsage, "there"},
		{&admin.Error{Code: admin.Invalid, Message: "x"}, exitUsage, ""},
		{&admin.Error{Code: admin.Refused, Message: "x", Hint: "pin"}, exitRefused, "pin"},
		{&admin.Error{Code: admin.NotFound, Message: "x"}, exitFailed, ""},
		{hinted(errors.New("x"), "h"), exitFailed, "h"},
	} {
		if got := status(c.err); got != c.status {
			t.Errorf("%v: status %d, want %d", c.err, got, c.status)
		}
		if got := hint(c.err); got != c.hint {
			t.Errorf("%v: hint %q, want %q", c.err, got, c.hint)
		}
	}
	var b bytes.Buffer
	complain(&b, usage("h", "one\ntwo"))
	if got := b.String(); got != "postern: one\npostern: two\npostern: hint: h\n" {
		t.Errorf("complaint: %q", got)
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"":                     {},
		"2h":                   now.Add(-2 * time.Hour),
		"2026-11-25T10:00:00Z": time.Date(2026, 11, 25, 10, 0, 0, 0, time.UTC),
		"2026-11-25":           time.Date(2026, 11, 25, 0, 0, 0, 0, time.Local),
		"2026-11-25 10:00:00":  time.Date(2026, 11, 25, 10, 0, 0, 0, time.Local),
	} {
		if got, err := parseTime("since", in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"-2h", "yesterday", "2026-13-01"} {
		if got, err := parseTime("since", in, now); err == nil {
			t.Errorf("%q: got %v", in, got)
		}
	}
}

func TestParseLockout(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "0 0s", "3": "3 0s", "3,30m": "3 30m0s",
		"0": "error", "-1": "error", "3,": "error", "3,0s": "error", "3,-1m": "error", "x": "error", "3,x": "error",
	} {
		n, d, err := parseLockout(in)
		got := fmt.Sprint(n, d)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestTargetName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://10.0.0.7":                             "10-0-0-7",
		"https://10.0.0.7:8443":                        "10-0-0-7",
		"https://BMC1.Example":                         "bmc1-example",
		"https://[fe80::1]":                            "fe80--1",
		"https://" + strings.Repeat("a", 70) + ".test": strings.Repeat("a", 63),
		"https://[::]":                                 "device",
	} {
		if got, err := targetName(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"", "bmc1", "https://", "://"} {
		if got, err := targetName(in); err == nil {
			t.Errorf("%q: got %q", in, got)
		}
	}
}

func TestSecretSource(t *testing.T) {
	t.Setenv("POSTERN_TEST_PW", "x")
	file := filepath.Join(t.TempDir(), "pw")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags secretFlags
		want  string
	}{
		{secretFlags{file: file}, "file:" + file},
		{secretFlags{env: "POSTERN_TEST_PW"}, "env:POSTERN_TEST_PW"},
		{secretFlags{file: "-"}, ""},
		{secretFlags{file: filepath.Dir(file)}, ""},
		{secretFlags{file: os.DevNull}, ""},
		{secretFlags{file: file + "x"}, ""},
		{secretFlags{env: "POSTERN_TEST_NOTHING"}, ""},
		{secretFlags{file: file, env: "POSTERN_TEST_PW"}, ""},
		{secretFlags{}, ""},
	} {
		if got, err := c.flags.source(); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%+v: got %q, %v, want %q", c.flags, got, err, c.want)
		}
	}
}

func TestReadSecret(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"pw": "pw", "pw\n": "pw", "pw\r\n": "pw", "pw\n\n": "pw\n", "pw\r": "pw\r", "pässword": "pässword", "p\xe4ssword\n": "", " p w ": " p w ",
		"": "", "\n": "", strings.Repeat("x", maxSecret+1): "",
	} {
		got, err := readSecret(strings.NewReader(in), "it")
		if got.Reveal() != want || (err == nil) != (want != "") {
			t.Errorf("%.20q: got %.20q, %v, want %.20q", in, got.Reveal(), err, want)
		}
	}
}

// A command that holds the state does not keep a server from starting.
func TestServerWaitsForCommand(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	up := make(chan struct{})
	cfg := serve.Config{Data: t.TempDir(), Ready: func(serve.Ready) { close(up) }}
	command, err := serve.OpenOffline(ctx, cfg.Data, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Run(ctx, cfg); !serve.HeldByCommand(err) {
		t.Errorf("while a command holds the state: got %v", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if err := runServer(stopped, cfg); err != nil {
		t.Errorf("told to stop while it waits: got %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- runServer(ctx, cfg) }()
	if err := command.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-up:
	case err := <-ended:
		t.Fatalf("after the command: got %v", err)
	}
	if err := runServer(ctx, cfg); !errors.Is(err, serve.ErrInUse) {
		t.Errorf("a second server: got %v, want it refused", err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What comes from a peer cannot steer the terminal.
func TestRecordLine(t *testing.T) {
	t.Parallel()
	line := recordLine(audit.Record{
		Event: "call", Target: "bmc1", Path: "/redfish/v1/\x1b[2J", Detail: "two words\nand a line", Status: 404, Caller: "a=b",
	})
	if strings.ContainsAny(line, "\x1b\n") || !strings.Contains(line, `detail="two words\nand a line"`) ||
		!strings.Contains(line, `caller="a=b"`) || !strings.Contains(line, "status=404") {
		t.Errorf("got %q", line)
	}
}

var longFlag = regexp.MustCompile(`--[a-z-]+`)

// docs/cli.md names every command and every flag.
func TestDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		path := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "postern"), " ")
		if path != "" && !strings.Contains(text, path) {
			t.Errorf("docs/cli.md does not say %q", path)
		}
		for _, flag := range longFlag.FindAllString(c.NonInheritedFlags().FlagUsages(), -1) {
			if !strings.Contains(text, flag) && flag != "--help" {
				t.Errorf("docs/cli.md does not say %s of %s", flag, c.CommandPath())
			}
		}
		for _, sub := range c.Commands() {
			if sub.Name() != "completion" { // cobra's own, described in one line
				walk(sub)
			}
		}
	}
	walk((&app{stdin: os.Stdin, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}).root())
}

// Nothing that a device sent, and an error quotes, steers the terminal.
func TestComplain(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	complain(&b, errors.New("one\x1b[2J\x9b31m\u202eé\r\ntwo "+strings.Repeat("m", 5000)))
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 3 || lines[0] != "postern: one\\x1b[2J\ufffd31m\\u202eé\\r" || len(lines[1]) > maxComplaint+20 || !strings.HasSuffix(lines[1], "m...") {
		t.Errorf("got %q", lines)
	}
}
