//go:build integration

package interop

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	uploadSize = 256 << 20
	uploadPath = "/redfish/v1/UpdateService/upload"
	// growthLimit is by how much the gateway's resident memory may grow.
	growthLimit = 32 << 20
)

// An uploadDevice has sessions and takes uploads. It is written here, apart
// from the simulator, so that it can tell when the first byte came.
type uploadDevice struct {
	w        *world
	user     string
	password string
	first    chan struct{} // closed when the first byte of an upload is there
	mu       sync.Mutex    // guards what follows
	tokens   map[string]bool
	sum      string // of the last upload
}

func (d *uploadDevice) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/redfish/v1" || r.URL.Path == "/redfish/v1/":
		io.WriteString(w, `{"@odata.id":"/redfish/v1","Id":"Root","Name":"Root","RedfishVersion":"1.6.0",`+
			`"Systems":{"@odata.id":"/redfish/v1/Systems"},"Links":{"Sessions":{"@odata.id":"/redfish/v1/SessionService/Sessions"}}}`)
	case r.Method == http.MethodPost && r.URL.Path == "/redfish/v1/SessionService/Sessions":
		d.login(w, r)
	case !d.knows(r.Header.Get("X-Auth-Token")):
		w.WriteHeader(http.StatusUnauthorized)
	case r.Method == http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == uploadPath:
		d.take(w, r)
	default:
		fmt.Fprintf(w, `{"@odata.id":%q,"Id":"x","Name":"x"}`, r.URL.Path)
	}
}

func (d *uploadDevice) login(w http.ResponseWriter, r *http.Request) {
	var in struct{ UserName, Password string }
	if json.NewDecoder(r.Body).Decode(&in) != nil || in.UserName != d.user || in.Password != d.password {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	token := d.w.secret("token of the device", rand.Text())
	d.mu.Lock()
	d.tokens[token] = true
	d.mu.Unlock()
	w.Header().Set("X-Auth-Token", token)
	w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/1")
	w.WriteHeader(http.StatusCreated)
	io.WriteString(w, `{"@odata.id":"/redfish/v1/SessionService/Sessions/1","Id":"1","Name":"s","UserName":"root"}`)
}

func (d *uploadDevice) knows(token string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tokens[token]
}

func (d *uploadDevice) take(w http.ResponseWriter, r *http.Request) {
	h := sha256.New()
	if n, _ := io.CopyN(h, r.Body, 1); n == 1 {
		close(d.first)
	}
	if _, err := io.Copy(h, r.Body); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	d.mu.Lock()
	d.sum = hex.EncodeToString(h.Sum(nil))
	d.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// A slowTail is an upload whose last piece is only sent when the device has
// its first byte, and that says whether it was so.
type slowTail struct {
	left   int
	piece  []byte
	sum    io.Writer
	first  <-chan struct{}
	inTime *bool
}

func (s *slowTail) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if s.left <= len(s.piece) && !*s.inTime {
		select {
		case <-s.first:
			*s.inTime = true
		case <-time.After(20 * time.Second):
		}
	}
	n := copy(p, s.piece[:min(s.left, len(s.piece))])
	s.left -= n
	s.sum.Write(p[:n])
	return n, nil
}

// An upload flows through: the device has its first byte before the caller has
// sent the last, and the gateway holds nothing of it.
func TestUploadStreams(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	password, pwFile := w.password("device password")
	d := &uploadDevice{w: w, user: "root", password: password, first: make(chan struct{}), tokens: map[string]bool{}}
	server := httptest.NewTLSServer(d)
	t.Cleanup(server.Close)
	g := w.gateway(targetConfig{url: server.URL, pin: pin(server.Certificate()), user: "root", pwFile: pwFile}).up(w)
	c := g.client(t)
	if a, err := g.call(c, "GET", systems, nil); err != nil || a.status != http.StatusOK {
		t.Fatalf("GET: status %d, %v: %s", a.status, err, a.body)
	}

	before, peak := resident(t, g.cmd.Process.Pid), 0
	watched := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
				peak = max(peak, resident(t, g.cmd.Process.Pid))
			}
		}
	}()
	sum, inTime := sha256.New(), false
	body := &slowTail{left: uploadSize, piece: bytes.Repeat([]byte("0123456789abcdef"), 4096), sum: sum, first: d.first, inTime: &inTime}
	r, err := http.NewRequest(http.MethodPost, g.base+uploadPath, body)
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength = uploadSize
	r.Header.Set("Content-Type", "application/octet-stream")
	r.SetBasicAuth(g.user, g.password)
	a, err := send(c, r)
	close(done)
	<-watched

	if err != nil || a.status != http.StatusAccepted {
		t.Fatalf("upload: status %d, %v: %s", a.status, err, a.body)
	}
	if !inTime {
		t.Error("the device got the first byte only after the last was sent")
	}
	if want := hex.EncodeToString(sum.Sum(nil)); d.sum != want {
		t.Errorf("the device got the digest %s, want %s", d.sum, want)
	}
	t.Logf("resident memory: %d KiB before, %d KiB at most", before>>10, peak>>10)
	if peak == 0 || peak-before > growthLimit {
		t.Errorf("resident memory grew from %d to %d KiB, want less than %d MiB more", before>>10, peak>>10, growthLimit>>20)
	}
}

var rss = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident is a process's resident memory in bytes.
func resident(t *testing.T, pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	m := rss.FindSubmatch(data)
	if err != nil || m == nil {
		t.Errorf("resident memory of %d: %v", pid, err)
		return 0
	}
	n, _ := strconv.Atoi(string(m[1]))
	return n << 10
}
