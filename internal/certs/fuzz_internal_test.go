package certs

import (
	"bytes"
	"testing"
)

// What is DER stays as it is, and the work is bounded.
func FuzzToDER(f *testing.F) {
	f.Add([]byte("\x30\x80\x24\x80\x04\x01a\x00\x00\x02\x01\x05\x00\x00"))
	f.Add([]byte("\x30\x80\x06\x01\x2a\x30\x00\xa0\x80\x04\x01a\x04\x01b\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, ber []byte) {
		checkWork(ber, 0, maxDepth)
		der, err := toDER(ber)
		if err != nil {
			return
		}
		if len(der) > len(ber)+8*maxDepth+len(ber)*5 {
			t.Errorf("%d bytes became %d", len(ber), len(der))
		}
		again, err := toDER(der)
		if err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x became %x and then %x, %v", ber, der, again, err)
		}
	})
}
