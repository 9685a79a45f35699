package sim

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/trust"
	"github.com/postern/postern/redfish"
)

// Defaults of a Config.
const (
	DefaultSlots = 4                // sessions; as few as the smaller BMCs give
	DefaultIdle  = 30 * time.Minute // what most of them ship with
	DefaultName  = "bmc"
)

// A Config says how a device is and behaves.
type Config struct {
	// User and Password are the device's Administrator; both are needed.
	User     auth.AccountName
	Password auth.Secret
	// MustChangePassword makes that password one that must be changed first.
	MustChangePassword bool
	// Accounts are further ones; names must differ.
	Accounts []Account

	// Profile is the flavour of Redfish that the device speaks: the generic one, an
	// iLO's or an RMC's.
	Profile redfish.Profile
	// NoLicence takes an iLO's licence for iLO Advanced away, without which there
	// is no certificate login. Somebody may install one.
	NoLicence bool
	// Fetch gets the revocation lists and asks the OCSP responders that an
	// administrator of an iLO names. nil: nothing can be fetched.
	Fetch trust.FetchFunc

	// DirectoryRoots are the CAs that the servers of an iLO's directory must have
	// their certificates from; nil: those of the system.
	DirectoryRoots *x509.CertPool
	// MailRoots are those of the server that passcodes are mailed by, which must offer
	// TLS then. nil: those of the system, where it offers TLS.
	MailRoots *x509.CertPool

	// Name is the device's host name; its UUIDs and serial number are made
	// from it, so that two devices in one place should have two names. Empty: DefaultName.
	Name string
	// Slots is how many sessions may live at once, whoever they belong to.
	// 0: DefaultSlots. Negative: no limit.
	Slots int
	// Idle is how long a session may go unused. 0: DefaultIdle.
	Idle time.Duration
	// Latency is how long answers take.
	Latency Latency
	// Lockout is how many wrong passwords in a row lock an account. 0: never.
	Lockout int
	// LockoutFor is how long a lock holds. 0: for as long as the device runs.
	LockoutFor time.Duration
	// ClientCAs are CAs in PEM, one certificate each. With at least one, client
	// certificates are asked for and name their account in their CN; the living
	// tree lets an Administrator change all of this.
	ClientCAs []string
	// ServerCertificates is what the living tree shows, and lets an Administrator
	// replace, of the certificate in the device's handshakes. nil: nothing.
	ServerCertificates ServerCertificates
	// ClockOffset is added to the true time on the device's clock: in its Date
	// header and in every time it tells. Timeouts are not affected.
	ClockOffset time.Duration
	// Faults are the device's misbehaviours, NAME or NAME=VALUE of Faults.
	Faults []string

	// Tree is what the device serves. nil: the built-in, living tree.
	Tree *Tree

	// Journal gets the device's view of every request, one JSON line with one
	// Write each, before the answer leaves. nil: none.
	Journal io.Writer

	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: silence
}

func (c Config) withDefaults() (Config, error) {
	if err := c.defaults(); err != nil {
		return c, err
	}
	return c, c.check()
}

func (c *Config) defaults() error {
	if c.Name == "" {
		c.Name = DefaultName
	}
	if c.Slots == 0 {
		c.Slots = DefaultSlots
	}
	if c.Idle == 0 {
		c.Idle = DefaultIdle
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tree == nil {
		tree, err := c.builtIn()
		if err != nil {
			return fmt.Errorf("sim: built-in tree: %w", err)
		}
		c.Tree = tree
	}
	return nil
}

func (c *Config) check() error {
	switch {
	case c.Idle < 0:
		return fmt.Errorf("sim: idle timeout %v is negative", c.Idle)
	case c.Lockout < 0 || c.Lockout > account.MaxThreshold:
		return fmt.Errorf("sim: lockout after %d wrong passwords: it can be after 1 to %d, or 0 for never", c.Lockout, account.MaxThreshold)
	case c.LockoutFor < 0 || c.LockoutFor > account.MaxLockout:
		return fmt.Errorf("sim: lockout for %v: it can last a year, or 0 for ever", c.LockoutFor)
	}
	if c.MustChangePassword && !c.Tree.living {
		return errors.New("sim: a mockup has no account whose password could be changed")
	}
	seen := make(map[auth.AccountName]bool)
	for _, a := range c.accounts() {
		switch {
		case a.Name == "" || a.Password.IsZero():
			return errors.New("sim: an account needs a name and a password")
		case a.Role != auth.Administrator && a.Role != auth.Operator && a.Role != auth.ReadOnly:
			return fmt.Errorf("sim: account %q: role %q is not Administrator, Operator or ReadOnly", a.Name, a.Role)
		case seen[a.Name]:
			return fmt.Errorf("sim: account %q is given twice", a.Name)
		}
		if err := account.CheckName(a.Name); err != nil { // it stands in a URI
			return fmt.Errorf("sim: account %q: %w", a.Name, err)
		}
		seen[a.Name] = true
	}
	return nil
}

// accounts returns all of them, the Administrator first.
func (c *Config) accounts() []Account {
	first := Account{Name: c.User, Password: c.Password, Role: auth.Administrator, MustChangePassword: c.MustChangePassword}
	return append([]Account{first}, c.Accounts...)
}

// clock is the device's clock.
func (c *Config) clock() time.Time { return c.Now().Add(c.ClockOffset) }

// builtIn is the tree of the profile's devices.
func (c *Config) builtIn() (*Tree, error) {
	switch {
	case c.isILO():
		return iloTree()
	case c.Profile.Name == profileRMC:
		return rmcTree()
	}
	return builtIn()
}
