package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/account"
	"github.com/postern/postern/internal/admin"
	"github.com/postern/postern/internal/audit"
	"github.com/postern/postern/internal/authority"
	"github.com/postern/postern/internal/lease"
	"github.com/postern/postern/internal/metrics"
	"github.com/postern/postern/internal/policy"
	"github.com/postern/postern/internal/seal"
	"github.com/postern/postern/internal/session"
	"github.com/postern/postern/internal/store"
	"github.com/postern/postern/internal/target"
	"github.com/postern/postern/internal/trust"
)

// The names of what lies in a data directory.
const (
	AuditDir      = "audit"     // a folder
	AuditKey      = "audit.key" // of its chain
	storeFile     = "postern.db"
	sealKey       = "seal.key"
	firstPassword = "admin.password" // of the account that the first start made
)

// A core is the open state of a data directory: what a server and a command
// without one have in common.
type core struct {
	dir       *Dir
	now       func() time.Time
	log       *slog.Logger
	store     *store.Store
	seal      *seal.Key
	audit     *audit.Log
	sessions  *session.Table
	roles     *policy.Roles
	trust     *trust.Service
	authority *authority.Authority
	accounts  *account.Service
	targets   *target.Service
	leases    *lease.Manager
	first     bool             // this start made the first administrator
	meter     *metrics.Metrics // nil: nobody asks

	hosts hostNamesOf
}

// openCore opens everything in the folder, in the order in which one needs the
// other, and makes what is missing. Nothing runs after it but the audit log.
func openCore(ctx context.Context, path, use string, now func() time.Time, log *slog.Logger) (*core, error) {
	return openMetered(ctx, path, use, now, log, false)
}

// openMetered is openCore with metrics, where they are wanted.
func openMetered(ctx context.Context, path, use string, now func() time.Time, log *slog.Logger, wanted bool) (*core, error) {
	dir, err := OpenDir(path, use)
	if err != nil {
		return nil, err
	}
	c := &core{dir: dir, now: now, log: log}
	if wanted {
		c.meter = metrics.New(c.state)
	}
	if err := c.open(ctx); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

func (c *core) open(ctx context.Context) error {
	if c.dir.OpenToOthers() {
		c.log.Warn("other users may change what is in the data directory", slog.String("dir", c.dir.Path("")))
	}
	c.forgetSnapshots()
	var err error
	if c.store, err = store.Open(ctx, c.dir.Path(storeFile), store.Options{Now: c.now()}); err != nil {
		return err
	}
	if c.seal, err = seal.LoadOrCreate(c.dir.Path(sealKey)); err != nil {
		return err
	}
	key, err := seal.KeyFile(c.dir.Path(AuditKey))
	if err != nil {
		return err
	}
	conf := audit.Config{
		Dir: c.dir.Path(AuditDir), Key: key, Node: c.store.Node(), Epoch: c.store.Epoch(), Now: c.now, Log: c.log,
	}
	if c.meter != nil {
		conf.Observe = c.meter
	}
	c.audit, err = audit.Open(conf)
	if err != nil {
		return err
	}
	if c.first, err = c.bootstrap(ctx); err != nil {
		return err
	}
	if err := c.openCallers(ctx); err != nil {
		return err
	}
	return c.openDevices()
}

// bootstrap makes the first administrator. The record comes before the account,
// as with every other change.
func (c *core) bootstrap(ctx context.Context) (bool, error) {
	return account.Bootstrap(ctx, c.store, c.now(), func(name auth.AccountName, password auth.Secret) error {
		if err := writeFile(c.dir.Path(firstPassword), []byte(password.Reveal()+"\n"), 0o600); err != nil {
			return err
		}
		return c.audit.Append(ctx, audit.Record{Event: "admin.account.add", Account: string(name), Detail: "first start"})
	})
}

// openCallers opens what callers of Postern are known by.
func (c *core) openCallers(ctx context.Context) error {
	var err error
	if c.sessions, err = session.New(session.Config{Store: c.store, Audit: c.audit, Now: c.now, Log: c.log}); err != nil {
		return err
	}
	if err := c.sessions.Load(ctx); err != nil {
		return err
	}
	if c.roles, err = policy.NewRoles(policy.RolesConfig{Store: c.store, Now: c.now}); err != nil {
		return err
	}
	if err := c.roles.Load(ctx); err != nil {
		return err
	}
	if c.trust, err = trust.New(trust.Config{Store: c.store, Fetch: fetch, Family: familyOf, Now: c.now, Log: c.log}); err != nil {
		return err
	}
	if err := c.trust.Load(ctx); err != nil {
		return err
	}
	c.authority, err = authority.New(authority.Config{
		Accounts: c.store, Sessions: c.sessions, Audit: c.audit, Trust: c.trust, Roles: c.roles, Host: c.hosts.get, Now: c.now,
	})
	if err != nil {
		return err
	}
	if err := c.authority.Recover(ctx, c.audit.Pending()); err != nil {
		return err
	}
	c.accounts, err = account.New(account.Config{Store: c.store, Roles: c.roles, Changed: c.authority.Invalidate, Now: c.now})
	return err
}

// openDevices opens what Postern logs in to devices with.
func (c *core) openDevices() error {
	var err error
	if c.targets, err = target.New(target.Config{Store: c.store, Key: c.seal, Now: c.now, Log: c.log}); err != nil {
		return err
	}
	c.leases, err = lease.New(lease.Config{
		Store: c.store, Audit: c.audit, Seal: c.seal, Now: c.now, Log: c.log, DeviceFor: c.deviceForRow,
	})
	return err
}

// forgetFirst removes the first administrator's password file.
func (c *core) forgetFirst() {
	if err := os.Remove(c.dir.Path(firstPassword)); err != nil && !errors.Is(err, os.ErrNotExist) {
		c.log.Warn("the first administrator's password file is out of date and could not be removed", slog.Any("error", err))
	}
}

// firstPasswordFile is its path, or "" where the file is gone.
func (c *core) firstPasswordFile() string {
	path := c.dir.Path(firstPassword)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}

// close closes what is open, in reverse, and gives the folder back.
func (c *core) close() error {
	var errs []error
	if c.authority != nil {
		c.authority.Close()
	}
	if c.sessions != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		errs = append(errs, c.sessions.Flush(ctx))
		cancel()
	}
	if c.audit != nil {
		errs = append(errs, c.audit.Close())
	}
	if c.store != nil {
		errs = append(errs, c.store.Close())
	}
	if err := errors.Join(append(errs, c.dir.Close())...); err != nil {
		return fmt.Errorf("close the state: %w", err)
	}
	return nil
}

// administration is the service that changes this state; certificates are those
// of the listeners, and server is what runs on it.
func (c *core) administration(certificates admin.Certificates, server admin.Server) (*admin.Service, error) {
	return admin.New(admin.Config{
		Accounts: c.accounts, Roles: c.roles, Trust: c.trust, Sessions: c.sessions, Certificates: certificates, Targets: c.targets,
		Audit: c.audit, Server: server, ForgetFirst: c.forgetFirst, Now: c.now, Log: c.log,
	})
}
