// Command tally reads the output of `go test -json` on standard input, shows
// what a person wants to see of it (a line for each package, everything of a
// test that failed), and adds its counts to a file, from which -sum makes the
// one line that closes a run.
//
//	go test -json ./... | go run ./tools/tally -stage unit -counts .cache/counts
//	go run ./tools/tally -counts .cache/counts -skips .cache/skips -sum
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// event is a line of test2json.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a build that failed
	Test       string
	Output     string
	Elapsed    float64 // seconds
}

// counts are the tests of one stage; a package that failed without a failed
// test (it does not build, or it ended early) counts as one failed test.
type counts struct {
	passed, failed, skipped int

	logs bool // show those of passing tests
}

func main() {
	stage := flag.String("stage", "", "`name` of the stage, for its summary")
	file := flag.String("counts", "", "`file` that the counts are added to")
	skips := flag.String("skips", "", "`file` with one line for each skipped test")
	logs := flag.Bool("logs", false, "show what passing tests logged, too")
	sum := flag.Bool("sum", false, "print the closing line instead of reading tests")
	flag.Parse()
	run := func() error { return tally(os.Stdin, os.Stdout, *stage, *file, *logs) }
	if *sum {
		run = func() error { return closing(os.Stdout, *file, *skips) }
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "tally:", err)
		os.Exit(1)
	}
}

// tally reads one stage; the error says that something failed.
func tally(in io.Reader, out io.Writer, stage, file string, logs bool) error {
	c, err := read(in, out, logs)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s: %d passed, %d failed, %d skipped\n", stage, c.passed, c.failed, c.skipped)
	if file != "" {
		if err := add(file, stage, c); err != nil {
			return err
		}
	}
	if c.failed > 0 {
		return errors.New(stage + " failed")
	}
	if c.passed == 0 {
		return errors.New(stage + " ran no test")
	}
	return nil
}

func read(in io.Reader, out io.Writer, logs bool) (counts, error) {
	c := counts{logs: logs}
	output := map[string]*strings.Builder{} // of each test and package not yet ended
	failedTests := map[string]bool{}        // by package
	running := map[string]bool{}            // packages
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadString('\n')
		if line != "" {
			var e event
			if json.Unmarshal([]byte(line), &e) != nil {
				io.WriteString(out, line) // what go itself had to say
			} else {
				c.take(e, output, failedTests, out)
				if e.Test == "" {
					running[e.Package] = !ends(e.Action) && (e.Action == "start" || running[e.Package])
				}
			}
		}
		if errors.Is(err, io.EOF) {
			c.cutOff(running, output, out)
			return c, nil
		}
		if err != nil {
			return c, err
		}
	}
}

// showLogs prints the lines that the test itself logged.
func showLogs(out io.Writer, text string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, "_test.go:") {
			io.WriteString(out, line)
		}
	}
}

func ends(action string) bool { return action == "pass" || action == "fail" || action == "skip" }

// cutOff counts the packages that never came to an end, because the stage took
// longer than it may.
func (c *counts) cutOff(running map[string]bool, output map[string]*strings.Builder, out io.Writer) {
	for p, is := range running {
		if !is {
			continue
		}
		c.failed++
		for key, text := range output {
			if strings.HasPrefix(key, p+" ") {
				io.WriteString(out, text.String())
			}
		}
		fmt.Fprintf(out, "FAIL  %s was cut off\n", p)
	}
}

func (c *counts) take(e event, output map[string]*strings.Builder, failedTests map[string]bool, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "build-output":
		io.WriteString(out, e.Output)
	case "output":
		if output[key] == nil {
			output[key] = &strings.Builder{}
		}
		output[key].WriteString(e.Output)
	case "pass", "fail", "skip":
		c.end(e, output[key], failedTests, out)
		delete(output, key)
	}
}

func (c *counts) end(e event, said *strings.Builder, failedTests map[string]bool, out io.Writer) {
	text := ""
	if said != nil {
		text = said.String()
	}
	switch {
	case e.Test != "" && e.Action == "pass":
		c.passed++
		if c.logs {
			showLogs(out, text)
		}
	case e.Test != "" && e.Action == "skip":
		c.skipped++
		io.WriteString(out, text)
	case e.Test != "":
		c.failed++
		failedTests[e.Package] = true
		io.WriteString(out, text)
	case e.Action == "skip": // a package without tests
	case e.Action == "pass":
		fmt.Fprintf(out, "ok    %s %.1fs\n", e.Package, e.Elapsed)
	default:
		if !failedTests[e.Package] {
			c.failed++
		}
		io.WriteString(out, text)
		fmt.Fprintf(out, "FAIL  %s %.1fs\n", e.Package, e.Elapsed)
	}
}

func add(file, stage string, c counts) error {
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, stage, c.passed, c.failed, c.skipped)
	return err
}

// closing prints the skips and, alone on the last line, the counts of all
// stages together. A run without a passed test is an error.
func closing(out io.Writer, file, skips string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var all counts
	for line := range strings.Lines(string(data)) {
		var stage string
		var c counts
		if _, err := fmt.Sscan(line, &stage, &c.passed, &c.failed, &c.skipped); err != nil {
			return fmt.Errorf("%s: %q: %w", file, line, err)
		}
		all.passed, all.failed, all.skipped = all.passed+c.passed, all.failed+c.failed, all.skipped+c.skipped
	}
	if list, err := os.ReadFile(skips); err == nil && len(list) > 0 {
		fmt.Fprintf(out, "\nSKIPPED, so not shown by this run:\n%s\n", list)
	}
	fmt.Fprintf(out, "%d passed, %d failed, %d skipped\n", all.passed, all.failed, all.skipped)
	if all.failed > 0 || all.passed == 0 {
		return errors.New("not green")
	}
	return nil
}
