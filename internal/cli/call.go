package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxBody bounds a request's body and a shown error, in bytes: what people send
// by hand is JSON. Firmware goes through the gateway, or by exec.
const maxBody = 16 << 20

// A callFlags is what the calls take beside the device.
type callFlags struct {
	clientFlags
	body    string
	ifMatch string
	include bool
}

// callCommands are get, post, patch, put and delete.
func (a *app) callCommands() []*cobra.Command {
	return []*cobra.Command{
		a.callCommand(http.MethodGet, "Read a resource of a device"),
		a.callCommand(http.MethodPost, "Create something at a device, or do an action"),
		a.callCommand(http.MethodPatch, "Change members of a resource of a device"),
		a.callCommand(http.MethodPut, "Replace a resource of a device"),
		a.callCommand(http.MethodDelete, "Delete a resource of a device"),
	}
}

func (a *app) callCommand(method, short string) *cobra.Command {
	var f callFlags
	use := strings.ToLower(method)
	cmd := &cobra.Command{
		Use: use + " T PATH", Short: short, Args: exactly("T", "PATH"),
		Long: short + `, and print the answer's body. With an answer that
is an error the exit status is 1, and what the device says is on standard error.
` + deviceHelp,
		ValidArgsFunction: a.completeTargets,
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := a.requestBody(f.body)
			if err != nil {
				return err
			}
			return a.onDevice(cmd, f.clientFlags, args[0], func(ctx context.Context, d *device) error {
				// What the device or another command named is taken as it is.
				path := strings.TrimPrefix(args[1], d.URL)
				if !strings.HasPrefix(path, "/") {
					return usage("for instance /redfish/v1/Systems", "%q is no path at the device: it does not begin with a slash", args[1])
				}
				r, err := newRequest(ctx, method, d.URL, path, body, f.ifMatch)
				if err != nil {
					return err
				}
				resp, err := d.Do(ctx, d.Target, r)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				return a.answer(resp, d.Says, f.include)
			})
		},
	}
	f.clientFlags.add(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&f.include, "include", "i", false, "print status and headers too")
	if method != http.MethodGet {
		flags.StringVarP(&f.body, "body", "d", "", "`BODY` to send, JSON; @FILE reads it from a file, @- from standard input")
		flags.StringVar(&f.ifMatch, "if-match", "", "`ETAG` that the resource must have")
	}
	return cmd
}

// requestBody reads what --body says; nil: nothing.
func (a *app) requestBody(data string) ([]byte, error) {
	from, ok := strings.CutPrefix(data, "@")
	switch {
	case data == "":
		return nil, nil
	case !ok:
		return checkBody([]byte(data))
	case from == "-":
		return readBody(a.stdin)
	}
	f, err := os.Open(from)
	if err != nil {
		return nil, usage("", "--body: %w", err)
	}
	defer f.Close()
	return readBody(f)
}

func readBody(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, maxBody+1))
	if err != nil {
		return nil, usage("", "--body: %w", err)
	}
	if len(body) > maxBody {
		return nil, usage("", "--body holds more than %d bytes", maxBody)
	}
	return checkBody(body)
}

// checkBody finds a slip before the device does.
func checkBody(body []byte) ([]byte, error) {
	if !json.Valid(body) {
		return nil, usage(`for instance -d '{"ResetType": "On"}'; a file is named with @FILE`, "--body holds no JSON")
	}
	return body, nil
}

func newRequest(ctx context.Context, method, base, path string, body []byte, ifMatch string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, base+path, bytes.NewReader(body))
	if err != nil {
		return nil, usage("", "the path %q cannot be asked for: %w", path, err)
	}
	r.Header.Set("Accept", "application/json, */*;q=0.5")
	r.Header.Set("Accept-Encoding", "identity")
	r.Header.Set("User-Agent", "postern")
	r.Header["OData-Version"] = []string{"4.0"}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if ifMatch != "" {
		r.Header.Set("If-Match", ifMatch)
	}
	return r, nil
}

// answer prints what came back. A terminal gets nothing that could steer it.
func (a *app) answer(resp *http.Response, says func([]byte) string, include bool) error {
	out := a.stdout
	if f, ok := out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		out = plainWriter{out}
	}
	if include {
		fmt.Fprintf(out, "%s %s\n", resp.Proto, visible(resp.Status))
		for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
			for _, v := range resp.Header[name] {
				fmt.Fprintf(out, "%s: %s\n", name, visible(v))
			}
		}
		fmt.Fprintln(out)
	}
	if resp.StatusCode >= 300 {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		out.Write(body)
		return errors.Join(refusal(resp, says(body)), err)
	}
	last := &lastByte{w: out}
	if _, err := io.Copy(last, resp.Body); err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if last.any && last.b != '\n' {
		fmt.Fprintln(out)
	}
	return nil
}

// refusal is the error of an answer of 300 and more, in the device's words.
func refusal(resp *http.Response, said string) error {
	if at := resp.Header.Get("Location"); at != "" && resp.StatusCode < 400 {
		return hinted(fmt.Errorf("the device answers %s: it is at %s", visible(resp.Status), visible(at)), "no redirect is followed: ask for the other path, if it is the device's")
	}
	if said != "" {
		return fmt.Errorf("the device answers %s: %s", visible(resp.Status), visible(said))
	}
	return fmt.Errorf("the device answers %s", visible(resp.Status))
}

// lastByte remembers what was written last, so that a prompt begins on a line of
// its own.
type lastByte struct {
	w   io.Writer
	b   byte
	any bool
}

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b, l.any = p[len(p)-1], true
	}
	return l.w.Write(p)
}

// plainWriter leaves out what a terminal would obey: control characters but for
// newline and tab.
type plainWriter struct{ w io.Writer }

func (p plainWriter) Write(data []byte) (int, error) {
	safe := bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, data)
	if _, err := p.w.Write(safe); err != nil {
		return 0, err
	}
	return len(data), nil
}
