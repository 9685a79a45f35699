package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// SkipsEnv names the variable that holds the path of a file where each skipped
// test leaves one line, so that the end of a long run can list them.
const SkipsEnv = "POSTERN_SKIPS"

// Need says what a test cannot do without. Where it is missing (ok is false)
// the test is skipped and the skip is noted, or fails if CI=true, where
// nothing may be missing. The text names what is missing and how to get it.
func Need(t testing.TB, ok bool, format string, args ...any) {
	t.Helper()
	if ok {
		return
	}
	why := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatalf("needed in CI: %s", why)
	}
	if err := noteSkip(os.Getenv(SkipsEnv), t.Name(), why); err != nil {
		t.Errorf("note the skip: %v", err)
	}
	t.Skip(why)
}

func noteSkip(file, test, why string) error {
	if file == "" {
		return nil
	}
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s: %s\n", test, strings.ReplaceAll(why, "\n", " "))
	return err
}
