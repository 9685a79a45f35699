package serve

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/gateway"
	"github.com/postern/postern/internal/target"
)

// privateUser is who a program is at a private port.
const privateUser = "postern"

// maxDocument bounds an open document of a device, in bytes.
const maxDocument = 4 << 20

// A Private port lets one program use a device by a login that somebody else
// keeps. It is on the loopback interface, and asks for a password of its own
// that is drawn for each. Close it.
type Private struct {
	URL      string
	CAFile   string
	User     string
	Password auth.Secret

	face   *face
	dir    string
	device *url.URL
	family gateway.Family
}

// OpenPrivate opens a private port to t. do sends a request to the device, with
// the login.
func OpenPrivate(t target.Target, do func(*http.Request) (*http.Response, error), logger *slog.Logger) (*Private, error) {
	fam, err := findFamily(t.Family)
	if err != nil {
		return nil, err
	}
	_, dev, err := connect(t, nil, time.Now, logger)
	if err != nil {
		return nil, err
	}
	p := &Private{User: privateUser, Password: account.RandomPassword(), family: dev.gateway}
	if p.device, err = url.Parse(t.URL); err != nil {
		return nil, err
	}
	if p.dir, err = os.MkdirTemp("", "postern-private-"); err != nil {
		return nil, err
	}
	if err := p.open(fam, dev, do, logger); err != nil {
		return nil, errors.Join(err, os.RemoveAll(p.dir))
	}
	return p, nil
}

func (p *Private) open(fam family, dev device, do func(*http.Request) (*http.Response, error), logger *slog.Logger) error {
	dir, err := OpenDir(p.dir, "postern exec")
	if err != nil {
		return err
	}
	defer dir.Close()
	id, err := OpenIdentity(dir, time.Now)
	if err != nil {
		return err
	}
	p.CAFile = id.CAFile()
	proxy := p.proxy(do)
	h, err := fam.face(faceConfig{
		authority: newSingle(auth.AccountName(p.User), p.Password), listener: "private", chosen: dev.profile,
		next: proxy, open: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.document(proxy, w, r) }), log: logger,
	})
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return err
	}
	p.face = newFace("private", loopback, ln, id.TLSConfig(), logger)
	p.face.set(h)
	p.face.start(func(error) {}) // the program finds out
	p.URL = p.face.url
	return nil
}

// proxy hands a request on, and the answer back, without the credentials of
// either side.
func (p *Private) proxy(do func(*http.Request) (*http.Response, error)) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = p.device.Scheme, p.device.Host, p.device.Host
			r.Out.Header.Set("Accept-Encoding", "identity")
		},
		Transport:     roundTripper(repeatable(do)),
		FlushInterval: -1, // event streams
		ModifyResponse: func(resp *http.Response) error {
			for _, name := range []string{"X-Auth-Token", "Set-Cookie", "Www-Authenticate", "Strict-Transport-Security"} {
				resp.Header.Del(name)
			}
			if resp.StatusCode == http.StatusUnauthorized {
				// The program's own credentials are good: it must not log in again.
				return errors.New("the device answers 401 to the kept login")
			}
			if at := resp.Header.Get("Location"); at != "" {
				if rest, ok := strings.CutPrefix(at, p.device.Scheme+"://"+p.device.Host); ok {
					resp.Header.Set("Location", p.URL+rest)
				}
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.family.WriteError(w, r, &gateway.Error{Status: http.StatusBadGateway, Message: "The device cannot be reached with the kept login: " + err.Error()})
		},
		ErrorLog: log.New(io.Discard, "", 0), // the program is told
	}
}

// maxRepeated bounds a body that is kept so that it can be sent again with a new
// login, in bytes: calls are small, and uploads are not repeated.
const maxRepeated = 1 << 20

// repeatable lets do send a request with a small body again.
func repeatable(do func(*http.Request) (*http.Response, error)) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		if r.ContentLength <= 0 || r.ContentLength > maxRepeated {
			return do(r)
		}
		body, err := io.ReadAll(io.LimitReader(r.Body, r.ContentLength))
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
		return do(r)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// document shows a device's open document as a port shows it that has sessions,
// whatever the device has.
func (p *Private) document(proxy http.Handler, w http.ResponseWriter, r *http.Request) {
	call := p.family.Classify(r.Method, r.URL.EscapedPath(), r.URL.RawQuery)
	ask := r.Clone(context.WithoutCancel(r.Context()))
	ask.Method = http.MethodGet
	rec := &kept{header: http.Header{}}
	proxy.ServeHTTP(rec, ask)
	shown, ok := p.family.Document(call.Path, rec.body.Bytes())
	if rec.status != http.StatusOK || rec.cut || !ok {
		p.family.ServeMinimal(w, r)
		return
	}
	h := w.Header()
	for name, values := range rec.header {
		h[name] = values
	}
	h.Del("Etag") // of the device's bytes
	h.Set("Content-Length", strconv.Itoa(len(shown)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		io.Copy(w, bytes.NewReader(shown)) // an error is the peer's going away
	}
}

// kept is an answer in memory, up to maxDocument.
type kept struct {
	header http.Header
	status int
	body   bytes.Buffer
	cut    bool
}

func (k *kept) Header() http.Header { return k.header }

func (k *kept) WriteHeader(status int) {
	if k.status == 0 && status >= 200 {
		k.status = status
	}
}

func (k *kept) Write(b []byte) (int, error) {
	k.WriteHeader(http.StatusOK)
	if k.body.Len()+len(b) > maxDocument {
		k.cut = true
		return 0, errors.New("document too large")
	}
	return k.body.Write(b)
}

// Close closes the port at once; the login is whoever's it is.
func (p *Private) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), silentTime)
	defer cancel()
	p.face.shutdown(ctx)
	return os.RemoveAll(p.dir)
}
