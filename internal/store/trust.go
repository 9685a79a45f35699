package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/postern/postern/internal/trust"
)

var _ trust.Store = (*Store)(nil)

// AddCA implements trust.Store. The parent row is written first: that locks it
// until the commit.
func (s *Store) AddCA(ctx context.Context, r trust.Record, limit int, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `update counter set value = value + 1 where name = 'cas'`); err != nil {
			return err
		}
		res, err := tx.ExecContext(ctx, `
			insert into ca (id, listener, family, name, der, crl, crl_url, ocsp, ocsp_url, any_usage,
			                created_at, updated_at, node, epoch)
			values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			on conflict do nothing`,
			r.ID, r.Listener, r.Family, r.Name, r.DER, nullBlob(r.CRL), r.CRLURL, string(r.OCSP), r.OCSPURL, r.AnyUsage,
			nanos(at), nanos(at), s.node, s.epoch)
		if err := expectRow(res, err, trust.ErrExists); err != nil {
			return err
		}
		if err := withinLimit(ctx, tx, limit, `select count(*) from ca`); err != nil {
			return err
		}
		return s.emit(ctx, tx, "ca", r.ID, at)
	})
}

// withinLimit counts what is there with the row just added, which an error takes
// back, so that one that is there already is told as such.
func withinLimit(ctx context.Context, tx *sql.Tx, limit int, query string, args ...any) error {
	var n int
	err := tx.QueryRowContext(ctx, query, args...).Scan(&n)
	if err == nil && limit > 0 && n > limit {
		err = trust.ErrLimit
	}
	return err
}

// nullBlob is null for what is not there.
func nullBlob(b []byte) any {
	if b == nil {
		return nil
	}
	return b
}

// CAs implements trust.Store.
func (s *Store) CAs(ctx context.Context) ([]trust.Record, error) {
	rows, err := s.r.QueryContext(ctx, `
		select id, listener, family, name, der, crl, crl_url, ocsp, ocsp_url, any_usage, created_at
		from ca order by created_at, id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []trust.Record
	for rows.Next() {
		var r trust.Record
		var created int64
		err := rows.Scan(&r.ID, &r.Listener, &r.Family, &r.Name, &r.DER, &r.CRL, &r.CRLURL, &r.OCSP, &r.OCSPURL,
			&r.AnyUsage, &created)
		if err != nil {
			return nil, err
		}
		r.Created = fromNanos(created)
		out = append(out, r)
	}
	return out, rows.Err()
}

// RemoveCA implements trust.Store.
func (s *Store) RemoveCA(ctx context.Context, id string, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `delete from ca where id = ?`, id)
		if err := expectRow(res, err, trust.ErrNotFound); err != nil {
			return err
		}
		return s.emit(ctx, tx, "ca", id, at)
	})
}

// SetCRL implements trust.Store.
func (s *Store) SetCRL(ctx context.Context, id string, crl []byte, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `update ca set crl = ?, updated_at = ?, node = ?, epoch = ? where id = ?`,
			nullBlob(crl), nanos(at), s.node, s.epoch, id)
		if err := expectRow(res, err, trust.ErrNotFound); err != nil {
			return err
		}
		return s.emit(ctx, tx, "ca", id, at)
	})
}

// AddAccountCertificate implements trust.Store. The account's row is its parent
// row: written first, it is locked until the commit.
func (s *Store) AddAccountCertificate(ctx context.Context, c trust.AccountCertificate, limit int, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `update account set node = node where id = ?`, c.AccountID)
		if err := expectRow(res, err, trust.ErrNotFound); err != nil {
			return err
		}
		res, err = tx.ExecContext(ctx, `
			insert into account_certificate (fingerprint, account_id, der, created_at, node, epoch)
			values (?, ?, ?, ?, ?, ?)
			on conflict do nothing`, c.Fingerprint[:], c.AccountID, c.DER, nanos(at), s.node, s.epoch)
		if err := expectRow(res, err, trust.ErrExists); err != nil {
			return err
		}
		err = withinLimit(ctx, tx, limit, `select count(*) from account_certificate where account_id = ?`, c.AccountID)
		if err != nil {
			return err
		}
		return s.emit(ctx, tx, "account_certificate", c.Fingerprint.String(), at)
	})
}

const accountCertificates = `
	select c.fingerprint, c.account_id, a.name, c.der, c.created_at
	from account_certificate c join account a on a.id = c.account_id`

func scanAccountCertificate(row scanner) (trust.AccountCertificate, error) {
	var c trust.AccountCertificate
	var fingerprint []byte
	var created int64
	if err := row.Scan(&fingerprint, &c.AccountID, &c.Account, &c.DER, &created); err != nil {
		return trust.AccountCertificate{}, err
	}
	if len(fingerprint) != len(c.Fingerprint) {
		return trust.AccountCertificate{}, fmt.Errorf("store: certificate of account %s: fingerprint of %d bytes", c.AccountID, len(fingerprint))
	}
	copy(c.Fingerprint[:], fingerprint)
	c.Created = fromNanos(created)
	return c, nil
}

// AccountCertificates implements trust.Store.
func (s *Store) AccountCertificates(ctx context.Context, accountID string) ([]trust.AccountCertificate, error) {
	rows, err := s.r.QueryContext(ctx, accountCertificates+` where c.account_id = ? order by c.created_at, c.fingerprint`, accountID)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []trust.AccountCertificate
	for rows.Next() {
		c, err := scanAccountCertificate(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// AccountByFingerprint implements trust.Store.
func (s *Store) AccountByFingerprint(ctx context.Context, f trust.Fingerprint) (trust.AccountCertificate, error) {
	c, err := scanAccountCertificate(s.r.QueryRowContext(ctx, accountCertificates+` where c.fingerprint = ?`, f[:]))
	if errors.Is(err, sql.ErrNoRows) {
		err = trust.ErrNotFound
	}
	return c, err
}

// RemoveAccountCertificate implements trust.Store.
func (s *Store) RemoveAccountCertificate(ctx context.Context, accountID string, f trust.Fingerprint, at time.Time) error {
	return s.write(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, `delete from account_certificate where account_id = ? and fingerprint = ?`, accountID, f[:])
		if err := expectRow(res, err, trust.ErrNotFound); err != nil {
			return err
		}
		return s.emit(ctx, tx, "account_certificate", f.String(), at)
	})
}
