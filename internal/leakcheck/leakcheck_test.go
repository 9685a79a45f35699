package leakcheck_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/leakcheck"
	"github.com/postern/postern/redfish"
)

// clientEnv makes the test binary one of the clients below.
const clientEnv = "LEAKCHECK_TEST_CLIENT"

func TestMain(m *testing.M) {
	if name := os.Getenv(clientEnv); name != "" {
		if err := clients[name](); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

var clients = map[string]func() error{
	"careful": func() error {
		t, err := transport(true)
		if err != nil {
			return err
		}
		err = get(&http.Client{Transport: t})
		return errors.Join(err, t.Close())
	},
	"leaking": func() error {
		t, err := transport(true)
		if err != nil {
			return err
		}
		return get(&http.Client{Transport: t}) // and no Close
	},
	"trusting": func() error {
		t, err := transport(false)
		if err != nil {
			return err
		}
		err = get(&http.Client{Transport: t})
		return errors.Join(err, t.Close())
	},
	"stubborn": func() error {
		var err error
		for range 3 {
			var t *redfish.Transport
			if t, err = transport(true); err != nil {
				return err
			}
			if err = errors.Join(get(&http.Client{Transport: t}), t.Close()); err == nil {
				break
			}
		}
		return err
	},
	"double": func() error {
		c := &http.Client{Transport: base(true)}
		r, err := request()
		if err != nil {
			return err
		}
		r.SetBasicAuth(os.Getenv("POSTERN_USER"), os.Getenv("POSTERN_PASSWORD"))
		resp, err := c.Do(r)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		r, err = request()
		if err != nil {
			return err
		}
		r.SetBasicAuth(os.Getenv("POSTERN_USER"), os.Getenv("POSTERN_PASSWORD"))
		r.Header.Set("X-Auth-Token", "stale")
		if resp, err = c.Do(r); err == nil {
			resp.Body.Close()
		}
		return err
	},
	"idle":    func() error { return nil },
	"failing": func() error { return errors.New("no") },
}

func base(verify bool) *http.Transport {
	cfg := &tls.Config{InsecureSkipVerify: !verify}
	if verify {
		pem, err := os.ReadFile(os.Getenv("POSTERN_CA_FILE"))
		if err != nil {
			panic(err)
		}
		cfg.RootCAs = x509.NewCertPool()
		cfg.RootCAs.AppendCertsFromPEM(pem)
	}
	return &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}
}

func transport(verify bool) (*redfish.Transport, error) {
	b := base(verify)
	return redfish.NewTransport(redfish.TransportConfig{
		Device: redfish.DeviceConfig{URL: os.Getenv("POSTERN_URL"), Base: b, Fresh: b},
		Method: auth.MethodSession,
		Credential: func(context.Context) (auth.Credential, error) {
			return auth.Credential{Account: auth.AccountName(os.Getenv("POSTERN_USER")), Password: auth.NewSecret(os.Getenv("POSTERN_PASSWORD"))}, nil
		},
	})
}

func request() (*http.Request, error) {
	return http.NewRequest(http.MethodGet, os.Getenv("POSTERN_URL")+"/redfish/v1/Systems", nil)
}

func get(c *http.Client) error {
	r, err := request()
	if err != nil {
		return err
	}
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", resp.Status, err)
	}
	return nil
}

func check(t *testing.T, client string) (leakcheck.Report, string, error) {
	t.Helper()
	me, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := leakcheck.Check(t.Context(), leakcheck.Config{Command: []string{"/usr/bin/env", clientEnv + "=" + client, me}, Output: &out})
	return r, out.String(), err
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for client, want := range map[string][]leakcheck.Rule{
		"careful":  nil,
		"leaking":  {leakcheck.Leaks},
		"trusting": {leakcheck.Unproven},
		"stubborn": {leakcheck.Retries},
		"double":   {leakcheck.Doubles},
	} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			r, out, err := check(t, client)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var got []leakcheck.Rule
			for _, f := range r.Findings {
				got = append(got, f.Rule)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v; the device saw %+v", got, want, r.Runs)
			}
		})
	}
}

func TestCheckNoClient(t *testing.T) {
	t.Parallel()
	for client, want := range map[string]string{"idle": "sent no credential", "failing": "status 1"} {
		if _, _, err := check(t, client); !errors.Is(err, leakcheck.ErrNoClient) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", client, err, want)
		}
	}
	if _, err := leakcheck.Check(t.Context(), leakcheck.Config{Command: []string{"/nowhere/to/be/found"}}); err == nil {
		t.Error("a program that is not there was checked")
	}
}
