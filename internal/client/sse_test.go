package client

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func readAll(r io.Reader) (data, ids []string, err error) {
	e := newEventReader(r)
	for {
		d, err := e.next()
		if err != nil {
			return data, ids, err
		}
		data, ids = append(data, string(d)), append(ids, e.id)
	}
}

func TestEventReader(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream string
		data   []string
		ids    []string
	}{
		"simple":         {"id: 1\ndata: {\"a\":1}\n\nid:2\ndata:b\n\n", []string{`{"a":1}`, "b"}, []string{"1", "2"}},
		"many lines":     {"data: a\ndata:\ndata: c\n\n", []string{"a\n\nc"}, []string{""}},
		"line ends":      {"data: a\r\n\r\ndata: b\r\rdata: c\n\n", []string{"a", "b", "c"}, []string{"", "", ""}},
		"comments":       {": hello\n\n:\ndata: a\n: in between\n\n", []string{"a"}, []string{""}},
		"id stays":       {"id: 7\n\ndata: a\n\n", []string{"a"}, []string{"7"}},
		"id with NUL":    {"id: 7\nid: 8\x00\ndata: a\n\n", []string{"a"}, []string{"7"}},
		"not finished":   {"data: a\n\ndata: b\n", []string{"a"}, []string{""}},
		"unknown fields": {"event: x\nfoo\nretry: 5x\ndata: a\n\n", []string{"a"}, []string{""}},
		"nothing":        {"", nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(c.stream), iotest.OneByteReader(strings.NewReader(c.stream))} {
				data, ids, err := readAll(r)
				if !slices.Equal(data, c.data) || !slices.Equal(ids, c.ids) || !errors.Is(err, io.EOF) {
					t.Errorf("got %q, ids %q, %v; want %q, ids %q", data, ids, err, c.data, c.ids)
				}
			}
		})
	}
}

func TestEventWithoutEnd(t *testing.T) {
	t.Parallel()
	endless := io.MultiReader(strings.NewReader("data: "), zeros{})
	if _, _, err := readAll(endless); !errors.Is(err, errEventTooLong) {
		t.Errorf("got %v", err)
	}
	lines := io.MultiReader(strings.NewReader("data: a\n"), &repeated{text: "data: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"})
	if _, _, err := readAll(lines); !errors.Is(err, errEventTooLong) {
		t.Errorf("many lines: got %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type repeated struct{ text string }

func (r *repeated) Read(p []byte) (int, error) {
	return copy(p, r.text[:min(len(p), len(r.text))]), nil
}

func FuzzEventReader(f *testing.F) {
	f.Add([]byte("id: 1\ndata: {}\n\n"), 3)
	f.Add([]byte("data: a\r\rdata: b\r\n\r\n:c\n"), 9)
	f.Fuzz(func(t *testing.T, stream []byte, cut int) {
		whole, ids, err := readAll(bytes.NewReader(stream))
		cut = min(max(cut, 0), len(stream))
		parts := io.MultiReader(bytes.NewReader(stream[:cut]), bytes.NewReader(stream[cut:]))
		again, idsAgain, errAgain := readAll(parts)
		if !slices.Equal(whole, again) || !slices.Equal(ids, idsAgain) || (err == nil) != (errAgain == nil) {
			t.Errorf("cut at %d: %q, want %q", cut, again, whole)
		}
	})
}
