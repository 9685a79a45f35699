package wiretest

import (
	"regexp"
	"testing"
)

// What is masked is revealed as it was: values that begin alike, in JSON, in URLs,
// and the length of the body.
func TestMaskAndReveal(t *testing.T) {
	t.Parallel()
	m := newMasks([]Drawn{
		{Name: "id", Find: Pattern(regexp.MustCompile(`id-\d+`))},
		{Name: "tag", Find: Pattern(regexp.MustCompile(`(?m)^ETag: (.+)$`)), As: []string{`"a/b"`}},
	})
	const message = "PUT /id-1/id-12?tag=%22x%2F%2F%22 HTTP/1.1\nContent-Length: 36\nETag: \"x//\"\nX: id-1\n\n" + `{"tag":"\"x//\"","ids":"id-1 id-12"}`
	const want = "PUT /{id-1}/{id-2}?tag=%22a%2Fb%22 HTTP/1.1\nContent-Length: 39\nETag: \"a/b\"\nX: {id-1}\n\n" + `{"tag":"\"a/b\"","ids":"{id-1} {id-2}"}`
	if err := m.learn(message); err != nil {
		t.Fatal(err)
	}
	got := m.mask(message)
	if got != want {
		t.Errorf("masked\n%s\nwant\n%s", got, want)
	}
	if back := m.reveal(got); back != message {
		t.Errorf("revealed\n%s\nwant\n%s", back, message)
	}
}
