package leakcheck

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// DefaultLimit is how long one run of the client may take.
const DefaultLimit = 2 * time.Minute

// Config says what to check.
type Config struct {
	Command []string // the client with its arguments
	// Output gets what the client writes; nil = nobody wants it.
	Output io.Writer
	Limit  time.Duration // of one run; 0 = DefaultLimit
}

// The runs. In each the client finds in its environment where the device is and
// who it is there: POSTERN_URL, POSTERN_HOST, POSTERN_USER, POSTERN_PASSWORD and
// POSTERN_CA_FILE.
const (
	Plain    = "plain"    // everything is as it should be
	Refused  = "refused"  // the password is wrong
	Impostor = "impostor" // another device answers, which no CA of the client knows
)

// A Run is what the device saw in one run of the client.
type Run struct {
	Name    string `json:"name"`
	Exit    int    `json:"exit"`            // of the client
	Logins  int    `json:"logins"`          // sessions made
	Refused int    `json:"refused"`         // logins and Basic calls refused
	Basic   int    `json:"basic"`           // calls with HTTP Basic
	Calls   int    `json:"calls"`           // all requests
	Left    int    `json:"left"`            // sessions that lived when the client ended
	Double  int    `json:"double"`          // requests with two credentials
	Secrets int    `json:"secrets"`         // requests with any credential
	Error   string `json:"error,omitempty"` // the client could not be run, or not to its end
}

// A Rule is one thing that a client should not do.
type Rule string

// The rules.
const (
	Leaks    Rule = "leaves sessions behind"
	Relogs   Rule = "logs in more than once"
	Doubles  Rule = "sends two credentials at once"
	Retries  Rule = "tries a refused password again"
	Unproven Rule = "gives credentials to a device it cannot know"
)

// A Finding is a rule that the client broke.
type Finding struct {
	Rule Rule   `json:"rule"`
	Text string `json:"text"`
}

// A Report is the outcome.
type Report struct {
	Runs     []Run     `json:"runs"`
	Findings []Finding `json:"findings"`
}

// ErrNoClient: the client did not work where everything is as it should be, so
// that nothing can be said about it.
var ErrNoClient = errors.New("the client does not work with the simulated device")

// Check runs the client three times. An error that is ErrNoClient comes with
// the first run in the report.
func Check(ctx context.Context, cfg Config) (Report, error) {
	if len(cfg.Command) == 0 {
		return Report{}, errors.New("leakcheck: no command")
	}
	if cfg.Limit == 0 {
		cfg.Limit = DefaultLimit
	}
	if cfg.Output == nil {
		cfg.Output = io.Discard
	}
	r := Report{Findings: []Finding{}}
	for _, name := range []string{Plain, Refused, Impostor} {
		run, err := cfg.run(ctx, name)
		if err != nil {
			return r, err
		}
		r.Runs = append(r.Runs, run)
		if name == Plain && (run.Error != "" || run.Exit != 0 || run.Secrets == 0) {
			return r, fmt.Errorf("%w: %s", ErrNoClient, run.trouble())
		}
		r.Findings = append(r.Findings, run.judge()...)
	}
	return r, nil
}

func (r Run) trouble() string {
	switch {
	case r.Error != "":
		return r.Error
	case r.Exit != 0:
		return fmt.Sprintf("it ended with status %d", r.Exit)
	}
	return "it sent no credential; POSTERN_URL, POSTERN_USER and POSTERN_PASSWORD say where to log in as whom"
}

// judge says which rules the client broke in one run.
func (r Run) judge() []Finding {
	var out []Finding
	broke := func(is bool, rule Rule, format string, a ...any) {
		if is {
			out = append(out, Finding{rule, fmt.Sprintf(format, a...)})
		}
	}
	switch r.Name {
	case Plain:
		broke(r.Left > 0, Leaks, "%d of the %d sessions that it made lived when it had ended", r.Left, r.Logins)
		broke(r.Logins > 1, Relogs, "%d sessions for one run", r.Logins)
		broke(r.Double > 0, Doubles, "%d of %d requests", r.Double, r.Calls)
	case Refused:
		broke(r.Refused > 1, Retries, "the same wrong password went out %d times", r.Refused)
	case Impostor:
		broke(r.Secrets > 0, Unproven, "%d requests with a credential went to a device with a certificate of an unknown CA", r.Secrets)
	}
	return out
}

// run runs the client once.
func (c Config) run(ctx context.Context, name string) (Run, error) {
	d, err := startDevice(name)
	if err != nil {
		return Run{}, err
	}
	defer d.close()
	limited, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	cmd := exec.CommandContext(limited, c.Command[0], c.Command[1:]...)
	cmd.Env = append(os.Environ(), d.environment()...)
	cmd.Stdout, cmd.Stderr = c.Output, c.Output
	cmd.WaitDelay = time.Second // children may hold the output
	// What the client started ends with it where the time is up.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // the client itself has ended, and well
		err = nil
	}
	r := d.seen()
	r.Name = name
	exit, ended := errors.AsType[*exec.ExitError](err)
	switch {
	case ctx.Err() != nil:
		return Run{}, fmt.Errorf("leakcheck: %w", ctx.Err())
	case limited.Err() != nil:
		r.Error = fmt.Sprintf("it was not done after %v", c.Limit)
	case ended:
		r.Exit = exit.ExitCode()
	case err != nil:
		return Run{}, fmt.Errorf("leakcheck: %w", err)
	}
	return r, nil
}
