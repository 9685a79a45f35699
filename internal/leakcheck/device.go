package leakcheck

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/serve"
	"github.com/postern/postern/internal/sim"
)

const (
	user     = "operator"
	slots    = 64 // more than a client should need: it is counted, not stopped
	sessions = "/redfish/v1/SessionService/Sessions"
)

// A device is a simulated one that counts what a client sends.
type device struct {
	*sim.Device
	server   *http.Server
	ln       net.Listener
	dir      string
	caFile   string // that the client is given
	password auth.Secret
	done     chan struct{} // closed when the server has ended

	mu    sync.Mutex // guards count
	count Run
}

func startDevice(run string) (_ *device, err error) {
	dir, err := os.MkdirTemp("", "postern-leakcheck-")
	if err != nil {
		return nil, err
	}
	d := &device{dir: dir, done: make(chan struct{}), password: account.RandomPassword()}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	known, err := identity(filepath.Join(dir, "known"))
	if err != nil {
		return nil, err
	}
	d.caFile = known.CAFile()
	shown := known
	if run == Impostor {
		if shown, err = identity(filepath.Join(dir, "other")); err != nil {
			return nil, err
		}
	}
	right := d.password
	if run == Refused {
		right = account.RandomPassword()
	}
	d.Device, err = sim.New(sim.Config{User: user, Password: right, Slots: slots})
	if err != nil {
		return nil, err
	}
	if d.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	d.server = &http.Server{
		Handler:           d.watch(d.Device.Handler()),
		TLSConfig:         shown.TLSConfig(),
		ReadHeaderTimeout: 10 * time.Second,
		Protocols:         new(http.Protocols),
		ErrorLog:          log.New(nowhere{}, "", 0), // handshakes that a client breaks off are no news
	}
	d.server.Protocols.SetHTTP1(true)
	go func() {
		defer close(d.done)
		d.server.ServeTLS(d.ln, "", "")
	}()
	return d, nil
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func identity(path string) (*serve.Identity, error) {
	dir, err := serve.OpenDir(path, "postern leakcheck")
	if err != nil {
		return nil, err
	}
	id, err := serve.OpenIdentity(dir, time.Now)
	return id, errors.Join(err, dir.Close())
}

// watch counts what comes in before the device sees it.
func (d *device) watch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/"), "/Members")
		login := r.Method == http.MethodPost && strings.EqualFold(path, sessions)
		basic, token := r.Header.Get("Authorization") != "", r.Header.Get("X-Auth-Token") != ""
		given := 0
		for _, is := range []bool{login, basic, token} {
			if is {
				given++
			}
		}
		d.mu.Lock()
		d.count.Calls++
		if basic {
			d.count.Basic++
		}
		if given > 0 {
			d.count.Secrets++
		}
		if given > 1 {
			d.count.Double++
		}
		d.mu.Unlock()
		next.ServeHTTP(w, r)
	})
}

// environment is what the client is told.
func (d *device) environment() []string {
	host := d.ln.Addr().String()
	return []string{
		"POSTERN_URL=https://" + host, "POSTERN_HOST=" + host, "POSTERN_USER=" + user,
		"POSTERN_PASSWORD=" + d.password.Reveal(), "POSTERN_CA_FILE=" + d.caFile,
	}
}

// seen is what the device knows once the client has ended.
func (d *device) seen() Run {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, s := d.count, d.Stats()
	r.Logins, r.Refused, r.Left = int(s.Logins), int(s.Refused), s.Sessions
	return r
}

func (d *device) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if d.server.Shutdown(ctx) != nil {
		d.server.Close()
	}
	<-d.done
	os.RemoveAll(d.dir)
}
