package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern/postern/internal/audit"
)

const push = "/redfish/v1/UpdateService/update"

// zeros is an upload that nobody holds.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	clear(p[:n])
	z.left -= n
	return int(n), nil
}

func digestOfZeros(n int64) string {
	h := sha256.New()
	io.Copy(h, &zeros{n})
	return fmt.Sprintf("%x", h.Sum(nil))
}

func lastRecord(t *testing.T, s *stack) audit.Record {
	t.Helper()
	recs := s.records()
	if len(recs) == 0 {
		t.Fatal("no records")
	}
	return recs[len(recs)-1]
}

// The first byte is at the device before the caller has sent the last, and
// nobody holds what lies between.
func TestUploadStreams(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int64{"known length": 8 << 20, "unknown length": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := make(chan struct{})
			b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
				if r.ContentLength != length {
					t.Errorf("the device sees length %d, want %d", r.ContentLength, length)
				}
				var one [1]byte
				if _, err := io.ReadFull(r.Body, one[:]); err != nil {
					t.Error(err)
				}
				close(first)
				n, err := io.Copy(io.Discard, r.Body)
				fmt.Fprintf(w, "%d %v", n+1, err)
			})
			s := newStack(t, b.Server, options{})
			pr, pw := io.Pipe()
			go func() {
				io.Copy(pw, &zeros{1 << 20})
				<-first
				io.Copy(pw, &zeros{7 << 20})
				pw.Close()
			}()
			r := s.request("POST", push, pr)
			r.ContentLength = length
			a, err := s.do(r)
			if err != nil {
				t.Fatal(err)
			}
			a.want(t, 200, "8388608 <nil>")
			rec := lastRecord(t, s)
			if want := "upload: 8388608 bytes, sha256 " + digestOfZeros(8<<20); rec.Event != audit.CallEnd || rec.Detail != want {
				t.Errorf("record %+v, want detail %q", rec, want)
			}
		})
	}
}

func TestUploadMemory(t *testing.T) {
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	})
	s := newStack(t, b.Server, options{})
	s.call("GET", systems, nil).want(t, 200, "0")
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	const size = 128 << 20
	most := uint64(0)
	body := &measured{zeros: zeros{size}, every: 8 << 20, f: func() {
		runtime.ReadMemStats(&now)
		most = max(most, now.HeapAlloc)
	}}
	r := s.request("POST", push, body)
	r.ContentLength = size
	a, err := s.do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, 200, strconv.Itoa(size))
	if grown := int64(most) - int64(before.HeapAlloc); grown > 16<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
}

type measured struct {
	zeros
	every int64
	seen  int64
	f     func()
}

func (m *measured) Read(p []byte) (int, error) {
	n, err := m.zeros.Read(p)
	if m.seen/m.every != (m.seen+int64(n))/m.every {
		m.f()
	}
	m.seen += int64(n)
	return n, err
}

// A device that does not wait for the end of an upload is listened to, even
// while the caller stalls.
func TestUploadAnsweredEarly(t *testing.T) {
	t.Parallel()
	for status, body := range map[int]string{
		http.StatusRequestEntityTooLarge: "",
		http.StatusNoContent:             "",
		http.StatusBadRequest:            `{"error":{"code":"x","message":"` + strings.Repeat("x", 50_000) + `"}}`,
	} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
				io.ReadFull(r.Body, make([]byte, 1000))
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				io.WriteString(w, body)
			})
			s := newStack(t, b.Server, options{})
			hold := make(blocked)
			defer close(hold)
			r := s.request("POST", push, io.MultiReader(&zeros{100_000}, hold))
			r.ContentLength = 1 << 20
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // below what stalling callers get
			defer cancel()
			a, err := s.do(r.WithContext(ctx))
			if err != nil {
				t.Fatal(err)
			}
			a.want(t, status, body)
			if rec := lastRecord(t, s); rec.Status != status || !strings.HasSuffix(rec.Detail, "not whole") {
				t.Errorf("record %+v", rec)
			}
		})
	}
}

type blocked chan struct{}

func (b blocked) Read([]byte) (int, error) {
	<-b
	return 0, io.ErrUnexpectedEOF
}

// A caller who breaks an upload off breaks it off at the device, too.
func TestUploadBrokenOff(t *testing.T) {
	t.Parallel()
	got := make(chan error, 1)
	b := newBMC(t, func(_ http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		got <- err
	})
	s := newStack(t, b.Server, options{})
	r := s.request("POST", push, io.MultiReader(&zeros{100_000}, broken{}))
	r.ContentLength = 1 << 20
	if a, err := s.do(r); err == nil {
		t.Errorf("answer %d", a.status)
	}
	if err := <-got; err == nil {
		t.Error("the device took a part for the whole")
	}
	if rec := lastRecord(t, s); rec.Event != audit.CallEnd || rec.Outcome != audit.OutcomeUnknown || !strings.HasSuffix(rec.Detail, "not whole") {
		t.Errorf("record %+v", rec)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("the disk is gone") }

// An upload cannot be sent twice: a login that may have ended is probed first,
// and where it ends all the same the caller is told to send it again.
func TestUploadAndDeadLogin(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	var uploads atomic.Int64
	b := newBMC(t, func(_ http.ResponseWriter, r *http.Request) {
		if n, _ := io.Copy(io.Discard, r.Body); n > 0 {
			uploads.Add(1)
		}
	})
	s := newStack(t, b.Server, options{leaseNow: func() time.Time { return time.Unix(0, clock.Load()) }})
	upload := func() answer {
		r := s.request("POST", push, &zeros{1 << 20})
		r.ContentLength = 1 << 20
		a, err := s.do(r)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	s.call("GET", systems, nil).want(t, 200, "")

	b.drop() // while the login was used a moment ago
	a := upload()
	a.want(t, 503, "send it again")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	upload().want(t, 200, "")

	b.drop() // while the login is idle
	clock.Add(int64(time.Minute))
	upload().want(t, 200, "")
	if uploads.Load() != 2 {
		t.Errorf("%d uploads, want 2", uploads.Load())
	}
	if logins, _ := b.counts(); logins != 3 {
		t.Errorf("%d logins, want 3", logins)
	}
}

// Small bodies are held and sent again; the bounds are exact.
func TestHeldBodies(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) {
		h := sha256.New()
		n, err := io.Copy(h, r.Body)
		fmt.Fprintf(w, "%d %d %x %v", r.ContentLength, n, h.Sum(nil), err)
	})
	s := newStack(t, b.Server, options{})
	for _, n := range []int{1, 2, 64<<10 - 1, 64 << 10, 64<<10 + 1} {
		b.drop()
		body := bytes.Repeat([]byte{'x'}, n)
		a := s.call("POST", systems, bytes.NewReader(body))
		if n > 64<<10 && a.status == 503 {
			a = s.call("POST", systems, bytes.NewReader(body))
		}
		a.want(t, 200, fmt.Sprintf("%d %d %x <nil>", n, n, sha256.Sum256(body)))
	}
	a := s.call("DELETE", systems, nil)
	a.want(t, 200, "0 0 ")
}

// A length alone decides nothing: neither an allocation nor a wait.
func TestHugeLength(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(http.ResponseWriter, *http.Request) {})
	s := newStack(t, b.Server, options{})
	hold := make(blocked)
	defer close(hold)
	r := s.request("PATCH", systems, hold)
	r.SetBasicAuth("op", callerPassword)
	r.ContentLength = 1 << 50
	a, err := s.do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.want(t, 413, "")
}

func TestJudgedBodies(t *testing.T) {
	t.Parallel()
	b := newBMC(t, func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	s := newStack(t, b.Server, options{})
	for _, tc := range []struct {
		name, body, encoding string
		chunked              bool
		status               int
		text                 string
	}{
		{name: "allowed, byte for byte", body: "{ \"Boot\" : {\"a\":1} }\n", status: 200, text: "{ \"Boot\" : {\"a\":1} }\n"},
		{name: "allowed, in chunks", body: `{"Boot":{}}`, chunked: true, status: 200, text: `{"Boot":{}}`},
		{name: "more than is allowed", body: `{"Boot":{},"AssetTag":"x"}`, status: 403, text: "rules"},
		{name: "another case", body: `{"boot":{}}`, status: 403},
		{name: "twice", body: `{"Boot":{},"boot":{}}`, status: 400, text: "PropertyDuplicate"},
		{name: "twice, escaped", body: `{"Boot":{},"\u0042oot":{}}`, status: 400, text: "PropertyDuplicate"},
		{name: "twice, farther in", body: `{"Boot":{"a":1,"A":2}}`, status: 400, text: "PropertyDuplicate"},
		{name: "not JSON", body: `{"Boot"`, status: 400, text: "MalformedJSON"},
		{name: "not an object", body: `["Boot"]`, status: 400},
		{name: "nothing", body: ``, status: 400},
		{name: "not UTF-8", body: "{\"Boot\":\"\xff\"}", status: 400},
		{name: "compressed", body: "{}", encoding: "gzip", status: 415},
		{name: "too large", body: `{"Boot":"` + strings.Repeat("x", 1<<20) + `"}`, status: 413},
		{name: "too large, in chunks", body: `{"Boot":"` + strings.Repeat("x", 1<<20) + `"}`, chunked: true, status: 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var body io.Reader = strings.NewReader(tc.body)
			if tc.chunked {
				body = io.MultiReader(body)
			}
			r := s.request("PATCH", systems, body)
			r.SetBasicAuth("op", callerPassword)
			r.Header.Set("Content-Type", "application/json")
			if tc.encoding != "" {
				r.Header.Set("Content-Encoding", tc.encoding)
			}
			a, err := s.do(r)
			if err != nil {
				t.Fatal(err)
			}
			a.want(t, tc.status, tc.text)
		})
	}
}
