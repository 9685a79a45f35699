package gateway

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// A device that stops in the middle of a body is given up.
func TestStall(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int64{"known length": 200_000, "chunks": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				pr, pw := io.Pipe()
				go pw.Write(make([]byte, 100_000))
				resp := &http.Response{StatusCode: 200, ContentLength: length, Header: http.Header{}, Body: pr}
				x := &exchange{g: &Gateway{}, w: httptest.NewRecorder(), r: httptest.NewRequest("GET", "/", nil)}
				start := time.Now()
				err := x.relay(resp, pr, relayBuffer{buf: make([]byte, chunk), find: new(matcher)})
				if !errors.Is(err, errCutShort) || time.Since(start) != deviceStall {
					t.Errorf("got %v after %v, want a cut after %v", err, time.Since(start), deviceStall)
				}
			})
		})
	}
}

// An event stream may be silent for as long as it likes.
func TestSilentEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		go func() {
			time.Sleep(24 * time.Hour)
			io.WriteString(pw, "data: x\n\n")
			time.Sleep(24 * time.Hour)
			pw.Close()
		}()
		w := httptest.NewRecorder()
		resp := &http.Response{StatusCode: 200, ContentLength: -1, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: pr}
		x := &exchange{g: &Gateway{}, w: w, r: httptest.NewRequest("GET", "/", nil)}
		if err := x.relay(resp, pr, relayBuffer{buf: make([]byte, chunk), find: new(matcher)}); err != nil || w.Body.String() != "data: x\n\n" {
			t.Errorf("got %q, %v", w.Body, err)
		}
	})
}

// A device that takes nothing of an upload is given up.
func TestUploadStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := httptest.NewRequest("POST", "/", http.NoBody)
		s := newStream(httptest.NewRecorder(), r)
		ended := make(chan time.Time, 1)
		start := time.Now()
		s.watch(func() { ended <- time.Now() })
		time.Sleep(deviceStall)
		if _, err := s.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(err)
		}
		if got, want := (<-ended).Sub(start), 2*deviceStall+clientPatience; got != want {
			t.Errorf("given up after %v, want %v", got, want)
		}
		s.stop()
	})
}

// What the watch over a body depends on: closing the body of a real answer
// wakes a Read that waits.
func TestCloseWakesRead(t *testing.T) {
	t.Parallel()
	hold := make(chan struct{})
	d := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		<-hold
	}))
	defer d.Close()
	defer close(hold)
	resp, err := d.Client().Get(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		_, err := io.ReadAll(resp.Body)
		got <- err
	}()
	resp.Body.Close()
	if err := <-got; err == nil {
		t.Error("no error")
	}
}

// timed remembers the deadlines that a connection is given.
type timed struct {
	*httptest.ResponseRecorder
	write, read []time.Time
	pieces      int
}

func (w *timed) Write(p []byte) (int, error) {
	w.pieces++
	return w.ResponseRecorder.Write(p)
}

func (w *timed) SetWriteDeadline(t time.Time) error {
	w.write = append(w.write, t)
	return nil
}

func (w *timed) SetReadDeadline(t time.Time) error {
	w.read = append(w.read, t)
	return nil
}

// A slow caller gets clientPatience for each piece, however many there are.
func TestPatienceWithReaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pr, pw := io.Pipe()
		go func() {
			for range 3 {
				time.Sleep(time.Minute)
				pw.Write(make([]byte, chunk))
			}
			pw.Close()
		}()
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		resp := &http.Response{StatusCode: 200, ContentLength: 3 * chunk, Header: http.Header{}, Body: pr}
		x := &exchange{g: &Gateway{}, w: w, r: httptest.NewRequest("GET", "/", nil)}
		start := time.Now()
		if err := x.relay(resp, pr, relayBuffer{buf: make([]byte, chunk), find: new(matcher)}); err != nil {
			t.Fatal(err)
		}
		if w.pieces != 3 || len(w.write) < 3 {
			t.Fatalf("%d pieces and %d deadlines", w.pieces, len(w.write))
		}
		for i := range 3 {
			if got, want := w.write[i].Sub(start), time.Duration(i+1)*time.Minute+clientPatience; got != want {
				t.Errorf("piece %d has a deadline after %v, want %v", i, got, want)
			}
		}
	})
}

// The same for one who sends; none is left on the connection at the end.
func TestPatienceWithSenders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := &timed{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("POST", "/", io.LimitReader(zeroReader{}, 3))
		s := newStream(w, r)
		s.watch(func() { t.Error("given up") })
		start := time.Now()
		for i := range 3 {
			if _, err := s.Read(make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if got, want := w.read[i].Sub(start), time.Duration(i)*time.Minute+clientPatience; got != want {
				t.Errorf("piece %d has a deadline after %v, want %v", i, got, want)
			}
			time.Sleep(time.Minute)
		}
		if _, err := s.Read(make([]byte, 1)); err != io.EOF {
			t.Fatal(err)
		}
		if last := w.read[len(w.read)-1]; !last.IsZero() {
			t.Errorf("a deadline is left: %v", last)
		}
		n := len(w.read)
		s.stop()
		if len(w.read) != n {
			t.Error("the end of a whole upload touches the connection")
		}
	})
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) { return len(p), nil }
