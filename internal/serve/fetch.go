package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/postern/postern/internal/trust"
)

const (
	fetchTime    = 10 * time.Second // a CRL is small, and somebody waits for an OCSP answer
	maxRedirects = 3                // a CA's web server may have moved its lists
)

// fetcher gets CRLs and OCSP answers. It shares nothing with the connections to
// devices, and sends no credentials.
var fetcher = sync.OnceValue(func() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 2
	t.MaxResponseHeaderBytes = 64 << 10
	return &http.Client{Transport: t, Timeout: fetchTime, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != "http" && r.URL.Scheme != "https" || len(via) > maxRedirects {
			return errors.New("redirected too often, or to what is no http or https URL")
		}
		return nil
	}}
})

// fetch is a trust.FetchFunc.
func fetch(ctx context.Context, method, url, contentType string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	resp, err := fetcher().Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, trust.MaxCRL+1))
	if err == nil && len(data) > trust.MaxCRL {
		err = fmt.Errorf("%s answers with more than %d bytes", url, trust.MaxCRL)
	}
	return data, err
}
