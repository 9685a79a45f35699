package certs_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/certs"
)

// What parses can be described, and comes back from its PEM as it was.
func FuzzParse(f *testing.F) {
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			f.Add(load(f, e.Name()))
		}
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := certs.Parse(data, func(string) (auth.Secret, error) { return auth.NewSecret("x"), nil })
		if err != nil {
			return
		}
		for _, i := range file.Items {
			d := i.Describe(now)
			for _, s := range append(d.Names, d.Subject, d.Issuer) {
				if bytes.ContainsAny([]byte(s), "\x00\x1b\n\r") {
					t.Errorf("%q would reach the terminal", s)
				}
			}
			if i.Request != nil {
				certs.Table(i.Request)
			}
		}
		text := file.PEM()
		if len(text) == 0 {
			return
		}
		for _, again := range [][]byte{text, []byte(certs.JSONLine(text))} {
			back, err := certs.Parse(again, nil)
			if err != nil {
				t.Fatalf("its PEM: %v", err)
			}
			if !bytes.Equal(back.PEM(), text) {
				t.Error("its PEM gives another PEM")
			}
		}
	})
}
