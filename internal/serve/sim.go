package serve

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/config"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/sim"
	"github.com/postern/postern/redfish"
)

// A SimConfig says how one simulated device is served.
type SimConfig struct {
	// Data holds the device's CA, the certificate that somebody put in the place of
	// its own, and its password where none is given. "" is a temporary folder that
	// goes with the device.
	Data string
	// Listen is HOST or HOST:PORT; "" is 127.0.0.1. A port left out is the one
	// used before under Data, else a free one.
	Listen string
	// Device is the device. Without a password one is drawn; without a user it
	// is admin. Profile, ServerCertificates and Fetch are set by RunSim.
	Device sim.Config
	// Profile is the name of the flavour of Redfish that the device speaks; "" is
	// the generic one. Settings are changes to it, as redfish.Profile.With has them.
	Profile  string
	Settings []string
	// PasswordFile is where Device.Password came from; "" where it came from
	// elsewhere, or there is none: then it is written under Data.
	PasswordFile string
	ReadyFile    string      // "" = none
	Ready        func(Ready) // called once the device answers; nil = nobody waits
	Log          *slog.Logger
}

// RunSim serves a simulated device until ctx ends.
func RunSim(ctx context.Context, cfg SimConfig) error {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Data == "" {
		tmp, err := os.MkdirTemp("", "postern-sim-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(tmp)
		cfg.Data = tmp
	}
	dir, err := OpenDir(cfg.Data, "postern sim")
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := forgetReady(cfg.ReadyFile); err != nil {
		return err
	}
	if err := cfg.credentials(dir); err != nil {
		return err
	}
	id, certs, err := simCertificates(dir)
	if err != nil {
		return err
	}
	cfg.Device.ServerCertificates, cfg.Device.Fetch = certs, fetch
	if cfg.Device.Profile, err = redfish.FindProfile(cfg.Profile); err == nil {
		cfg.Device.Profile, err = cfg.Device.Profile.With(cfg.Settings...)
	}
	if err != nil {
		return configError{err}
	}
	device, err := sim.New(cfg.Device)
	if err != nil {
		return configError{err}
	}
	conf, err := device.TLSConfig(certs.tlsConfig(sim.Listener, asker{
		mode: device.AsksForCertificates,
		judge: func(ctx context.Context, _ netip.Addr, chain []*x509.Certificate) error {
			return device.JudgeCertificate(ctx, chain)
		},
	}))
	if err != nil {
		return err
	}
	f, err := cfg.listen(dir, id, conf)
	if err != nil {
		return err
	}
	f.set(device.Handler())
	failed := make(chan error, 1)
	f.start(func(err error) { failed <- err })
	defer func() {
		drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
		defer cancel()
		device.Close() // its event streams would wait for ever
		f.shutdown(drain)
	}()
	ready := Ready{
		PID: os.Getpid(), URLs: map[string]string{"https": f.url}, CAFile: id.CAFile(),
		User: string(cfg.Device.User), PasswordFile: cfg.PasswordFile, Targets: map[string]map[string]string{},
	}
	if err := ready.announce(cfg.ReadyFile, cfg.Ready); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	return errors.Join(err, forgetReady(cfg.ReadyFile))
}

// simCertificates opens what the device shows in its handshakes: the certificate
// of its own CA, or the one that an Administrator has put in its place.
func simCertificates(dir *Dir) (*Identity, *Certificates, error) {
	id, err := OpenIdentity(dir, time.Now)
	if err != nil {
		return nil, nil, err
	}
	key, err := seal.LoadOrCreate(dir.Path(sealKey))
	if err != nil {
		return nil, nil, err
	}
	certs, err := OpenCertificates(dir, id, key, time.Now)
	return id, certs, err
}

func (cfg *SimConfig) listen(dir *Dir, id *Identity, conf *tls.Config) (*face, error) {
	host, port := "127.0.0.1", 0
	if cfg.Listen != "" {
		var err error
		if host, port, err = config.SplitAddress(cfg.Listen); err != nil {
			return nil, err
		}
	}
	id.SetNames(hostNames(host))
	p, err := openPorts(dir)
	if err != nil {
		return nil, err
	}
	ln, err := p.listen("sim", host, port)
	if err != nil {
		return nil, err
	}
	return newFace("sim", host, ln, conf, cfg.Log), nil
}

// credentials fills in what is missing of user and password.
func (cfg *SimConfig) credentials(dir *Dir) error {
	if cfg.Device.User == "" {
		cfg.Device.User = "admin"
	}
	if cfg.PasswordFile != "" {
		return nil
	}
	cfg.PasswordFile = dir.Path("device.password")
	if cfg.Device.Password.IsZero() {
		before, err := os.ReadFile(cfg.PasswordFile)
		switch {
		case err == nil && len(before) > 1:
			cfg.Device.Password = auth.NewSecret(string(before[:len(before)-1]))
			return nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
		cfg.Device.Password = auth.NewSecret(rand.Text())
	}
	if err := writeFile(cfg.PasswordFile, []byte(cfg.Device.Password.Reveal()+"\n"), 0o600); err != nil {
		return fmt.Errorf("write the device's password: %w", err)
	}
	return nil
}
