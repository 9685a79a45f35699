package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern/postern/internal/client"
	"github.com/postern/postern/internal/saved"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/target"
)

// defaultAtOnce is how many devices are talked to at a time. Each costs a TLS
// handshake or two, which are what a core is busy with.
const defaultAtOnce = 64

// A eachFlags is what `each` takes.
type eachFlags struct {
	atOnce  int
	timeout time.Duration
	body    string
	ifMatch string
}

// An eachResult is what came of one device.
type eachResult struct {
	Target string          `json:"target"`
	Status int             `json:"status,omitempty"` // of the answer
	Body   json.RawMessage `json:"body,omitempty"`
	Error  string          `json:"error,omitempty"`
	Millis int64           `json:"milliseconds"`
}

func (a *app) eachCommand() *cobra.Command {
	var f eachFlags
	cmd := &cobra.Command{
		Use: "each PATTERN get|post|patch|put|delete PATH | each PATTERN login|logout", Short: "Do the same at many devices at once",
		Long: `Do the same at every target whose name fits PATTERN (* and ?), many at once. On a
terminal there is a table with a line of progress; elsewhere, or with -o json, one
JSON object for each device, as they come in. Exit status 1 where one of them failed.
The logins are kept for the next command; "postern each PATTERN logout" ends them.`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) < 2:
				return usage(seeHelp(cmd), "a pattern and what to do are needed")
			case args[1] == "login" || args[1] == "logout":
				return exactly("PATTERN", "login")(cmd, args)
			case methods[args[1]] == "":
				return usage("get, post, patch, put, delete, login or logout", "unknown deed %q", args[1])
			}
			return exactly("PATTERN", args[1], "PATH")(cmd, args)
		},
		ValidArgsFunction: a.completeEach,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := untilSignal(cmd.Context())
			defer stop()
			return a.each(ctx, f, args)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&f.atOnce, "at-once", defaultAtOnce, "how many devices at a time, `N`")
	flags.DurationVar(&f.timeout, "timeout", 2*time.Minute, "how long one device may take, `DURATION`")
	flags.StringVarP(&f.body, "body", "d", "", "`BODY` to send, JSON; @FILE reads it from a file, @- from standard input")
	flags.StringVar(&f.ifMatch, "if-match", "", "`ETAG` that the resource must have")
	return cmd
}

func (a *app) completeEach(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return append(slices.Sorted(maps.Keys(methods)), "login", "logout"), cobra.ShellCompDirectiveNoFileComp
	}
	return a.completeTargets(cmd, args, word)
}

var methods = map[string]string{
	"get": http.MethodGet, "post": http.MethodPost, "patch": http.MethodPatch, "put": http.MethodPut, "delete": http.MethodDelete,
}

func (a *app) each(ctx context.Context, f eachFlags, args []string) error {
	if f.atOnce < 1 {
		return usage("", "--at-once must be 1 or more")
	}
	body, err := a.requestBody(f.body)
	if err != nil {
		return err
	}
	fleet, done, err := a.fleet(ctx, args[0])
	if err != nil {
		return err
	}
	defer done()
	return a.eachOf(ctx, f, fleet, args[1:], body)
}

// eachOf does a deed at every device of a fleet.
func (a *app) eachOf(ctx context.Context, f eachFlags, fleet []*device, deed []string, body []byte) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	work := make(chan *device)
	results := make(chan eachResult)
	var workers sync.WaitGroup
	for range min(f.atOnce, len(fleet)) {
		workers.Go(func() {
			for d := range work {
				results <- f.do(ctx, d, deed, body)
			}
		})
	}
	go func() {
		defer close(results)
		defer workers.Wait()
		defer close(work)
		for _, d := range fleet {
			select {
			case work <- d:
			case <-ctx.Done():
				return
			}
		}
	}()
	err := a.tellEach(results, len(fleet))
	stop()
	for range results { // a login or logout under way is not cut
	}
	return err
}

// fleet is every target whose name fits, each with the shared book of logins.
func (a *app) fleet(ctx context.Context, pattern string) ([]*device, func() error, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, nil, usage("* stands for any text, ? for one character", "the pattern %q: %w", pattern, err)
	}
	dir, err := a.dataDir()
	if err != nil {
		return nil, nil, err
	}
	log, err := newLogger(a.stderr, "error", a.logFormat)
	if err != nil {
		return nil, nil, err
	}
	book, err := saved.Open(serve.ClientBook(dir))
	if err != nil {
		return nil, nil, err
	}
	var all []target.Target
	stored, err := serve.OpenStored(ctx, dir, log)
	if err == nil {
		if all, err = stored.Targets(ctx); err != nil {
			stored.Close()
		}
	}
	if err != nil && !errors.Is(err, serve.ErrNoTarget) {
		return nil, nil, err
	}
	keeper := client.New(book, nil)
	var fleet []*device
	for _, t := range all {
		if fits, _ := path.Match(pattern, t.Name); !fits {
			continue
		}
		d := &device{Client: keeper, described: t}
		if d.Target, err = serve.ClientTarget(t, stored.CredentialOf(t.Name), log); err != nil {
			return nil, nil, errors.Join(err, stored.Close())
		}
		fleet = append(fleet, d)
	}
	if len(fleet) == 0 {
		return nil, nil, usage("postern target list shows those there are", "no target fits %q", pattern)
	}
	return fleet, stored.Close, nil
}

// do does the deed at one device.
func (f eachFlags) do(ctx context.Context, d *device, deed []string, body []byte) eachResult {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	start := time.Now()
	r := eachResult{Target: d.Name}
	var err error
	switch deed[0] {
	case "login":
		_, err = d.Live(ctx, d.Target)
	case "logout":
		_, err = d.Logout(ctx, d.Target)
	default:
		err = f.call(ctx, d, deed, body, &r)
	}
	if err != nil {
		r.Error = err.Error()
	}
	r.Millis = time.Since(start).Milliseconds()
	return r
}

func (f eachFlags) call(ctx context.Context, d *device, deed []string, body []byte, r *eachResult) error {
	if !strings.HasPrefix(deed[1], "/") {
		return usage("", "%q is no path at a device: it does not begin with a slash", deed[1])
	}
	req, err := newRequest(ctx, methods[deed[0]], d.URL, deed[1], body, f.ifMatch)
	if err != nil {
		return err
	}
	resp, err := d.Do(ctx, d.Target, req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	r.Status = resp.StatusCode
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case err != nil:
		return fmt.Errorf("the answer broke off: %w", err)
	case len(text) > maxBody:
		return fmt.Errorf("the answer is longer than %d bytes", maxBody)
	case resp.StatusCode >= 300:
		err = refusal(resp, d.Says(text))
	}
	if json.Valid(text) {
		r.Body = text
	} else if len(text) > 0 && utf8.Valid(text) {
		r.Body, _ = json.Marshal(string(text))
	}
	return err
}

// tellEach prints the results as they come in.
func (a *app) tellEach(results <-chan eachResult, of int) error {
	out, terminal := a.stdout.(*os.File)
	terminal = terminal && term.IsTerminal(int(out.Fd())) && a.output == "text"
	enc := json.NewEncoder(a.stdout)
	enc.SetEscapeHTML(false)
	var rows [][]string
	failed, came := 0, 0
	for r := range results {
		if came++; r.Error != "" {
			failed++
		}
		if !terminal {
			if err := enc.Encode(r); err != nil {
				return err
			}
			continue
		}
		status, text := "", visible(r.Error)
		if r.Status != 0 {
			status = strconv.Itoa(r.Status)
		}
		rows = append(rows, []string{r.Target, status, strconv.FormatInt(r.Millis, 10) + " ms", text})
		fmt.Fprintf(a.stderr, "\r%d of %d, %d failed", came, of, failed)
	}
	if terminal {
		fmt.Fprintf(a.stderr, "\r\x1b[K")
		table(a.stdout, []string{"TARGET", "STATUS", "TIME", "ERROR"}, rows)
	}
	switch {
	case came < of:
		return fmt.Errorf("stopped after %d of %d devices", came, of)
	case failed > 0:
		return fmt.Errorf("%d of %d devices failed", failed, of)
	}
	return nil
}
