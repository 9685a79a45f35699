package wiretest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strings"
)

// A Wire answers a request that came over the connection named by, both as they
// stand in a transcript. It is an http.Handler, and As makes an http.RoundTripper
// of it, so that it stands before any server and behind any client.
type Wire func(by, request string) (answer string, err error)

var _ http.Handler = Wire(nil)

// Serve returns the Wire to a handler in this process. connect may put into a
// request what its connection would bring: RemoteAddr, TLS, a context; nil leaves a
// TLS connection without a client certificate. An answer is whole when the
// handler returns: streams and trailers are not for transcripts.
func Serve(h http.Handler, connect func(by string, r *http.Request) *http.Request) Wire {
	return func(by, request string) (string, error) {
		r, err := readRequest(request)
		if err != nil {
			return "", err
		}
		r.TLS = &tls.ConnectionState{}
		if connect != nil {
			r = connect(by, r)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		resp := w.Result()
		if r.Method == http.MethodHead {
			resp.Body = http.NoBody
		}
		return answerText(resp)
	}
}

// Remote returns the Wire to a server that rt reaches; scheme is "https" or
// "http". The name of the connection is of no effect. Header names come as
// net/http writes them.
func Remote(scheme string, rt http.RoundTripper) Wire {
	return func(_, request string) (string, error) {
		r, err := readRequest(request)
		if err != nil {
			return "", err
		}
		r.RequestURI, r.URL.Scheme, r.URL.Host = "", scheme, r.Host
		resp, err := rt.RoundTrip(r)
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		return answerText(resp)
	}
}

// As returns the client's end of a connection. It calls the hook WroteHeaders of
// net/http/httptrace.
func (f Wire) As(by string) http.RoundTripper { return end{f, by} }

type end struct {
	wire Wire
	by   string
}

// RoundTrip implements http.RoundTripper.
func (e end) RoundTrip(r *http.Request) (*http.Response, error) {
	text, err := requestText(r)
	if err != nil {
		return nil, err
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	answer, err := e.wire(e.by, text)
	if err != nil {
		return nil, err
	}
	return readAnswer(answer, r)
}

// ServeHTTP answers for the other end of the wire. The connection is named after
// the common name of its client certificate, where there is one.
func (f Wire) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	by := ""
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		by = strings.ToLower(r.TLS.PeerCertificates[0].Subject.CommonName)
	}
	out := r.Clone(r.Context())
	out.URL.Host = r.Host
	if len(out.Header.Values("User-Agent")) == 0 {
		out.Header.Set("User-Agent", "") // else net/http adds its own
	}
	text, err := requestText(out)
	if err == nil {
		text, err = f(by, text)
	}
	var resp *http.Response
	if err == nil {
		resp, err = readAnswer(text, r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.StatusCode)
	io.Copy(w, resp.Body) // a client that is gone wants no error
}

func requestText(r *http.Request) (string, error) {
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		return "", fmt.Errorf("transcript: write request: %w", err)
	}
	head, body, _ := strings.Cut(b.String(), "\r\n\r\n")
	return strings.ReplaceAll(head, "\r\n", "\n") + "\n\n" + body, nil
}

// wired is the message with the line ends that HTTP wants.
func wired(message string) *bufio.Reader {
	head, body, _ := strings.Cut(message, "\n\n")
	return bufio.NewReader(strings.NewReader(strings.ReplaceAll(head, "\n", "\r\n") + "\r\n\r\n" + body))
}

func readRequest(text string) (*http.Request, error) {
	r, err := http.ReadRequest(wired(text))
	if err != nil {
		return nil, fmt.Errorf("transcript: read request: %w", err)
	}
	return r, nil
}

func readAnswer(text string, r *http.Request) (*http.Response, error) {
	resp, err := http.ReadResponse(wired(text), r)
	if err != nil {
		return nil, fmt.Errorf("transcript: read answer: %w", err)
	}
	return resp, nil
}

// answerText writes an answer with its header names in the letter case that they
// have in the map, sorted.
func answerText(resp *http.Response) (string, error) {
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("transcript: read answer: %w", err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", resp.StatusCode, http.StatusText(resp.StatusCode))
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		for _, value := range resp.Header[name] {
			b.WriteString(name + ": " + value + "\n")
		}
	}
	return b.String() + "\n" + string(body), nil
}
