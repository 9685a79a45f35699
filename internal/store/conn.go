package store

import (
	"context"
	"database/sql"
	"database/sql/driver"

	"modernc.org/sqlite"
)

// open returns a pool of connections that keep their statements prepared: parsing
// a statement costs more than running it.
func open(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector{c}), nil
}

type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{inner: inner.(sqliteConn), kept: make(map[string]*statement)}, nil
}

// sqliteConn is what the driver's connections can do, as far as it is used.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.SessionResetter
	driver.Validator
}

type sqliteStatement interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// maxKept bounds the prepared statements of one connection. The texts of this
// package are fewer; one that is put together with changing parts would fill it,
// and is prepared each time from then on.
const maxKept = 256

// A conn is one connection. database/sql never uses it from two goroutines at once.
//
// Statements run to their end whatever becomes of their context, which database/sql
// looks at before and after each: none takes long, and an interrupted one would
// undo the whole transaction, and with it what others have written in that.
type conn struct {
	inner sqliteConn
	kept  map[string]*statement
}

type statement struct {
	sqliteStatement
	open bool // its rows are being read
}

var (
	_ driver.ExecerContext   = (*conn)(nil)
	_ driver.QueryerContext  = (*conn)(nil)
	_ driver.ConnBeginTx     = (*conn)(nil)
	_ driver.SessionResetter = (*conn)(nil)
	_ driver.Validator       = (*conn)(nil)
)

// prepared returns the statement with that text, and whether it is kept; whoever
// asked for another one closes it.
func (c *conn) prepared(query string) (*statement, bool, error) {
	st, ok := c.kept[query]
	if ok && !st.open {
		return st, true, nil
	}
	inner, err := c.inner.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, false, err
	}
	st = &statement{sqliteStatement: inner.(sqliteStatement)}
	keep := !ok && len(c.kept) < maxKept
	if keep {
		c.kept[query] = st
	}
	return st, keep, nil
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(_ context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	st, kept, err := c.prepared(query)
	if err != nil {
		return nil, err
	}
	if !kept {
		defer st.Close()
	}
	return st.ExecContext(context.Background(), args)
}

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(_ context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	st, kept, err := c.prepared(query)
	if err != nil {
		return nil, err
	}
	inner, err := st.QueryContext(context.Background(), args)
	if err != nil {
		if !kept {
			st.Close()
		}
		return nil, err
	}
	st.open = true
	return &rows{Rows: inner, of: st, kept: kept}, nil
}

// rows give their statement back when they are closed.
type rows struct {
	driver.Rows
	of   *statement
	kept bool
}

// Close implements driver.Rows.
func (r *rows) Close() error {
	err := r.Rows.Close()
	if !r.kept {
		r.of.Close()
	}
	r.of.open = false
	return err
}

// Prepare implements driver.Conn.
func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.inner.PrepareContext(context.Background(), query)
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(_ context.Context, o driver.TxOptions) (driver.Tx, error) {
	return c.inner.BeginTx(context.Background(), o)
}

// Begin implements driver.Conn.
func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

// ResetSession implements driver.SessionResetter.
func (c *conn) ResetSession(ctx context.Context) error { return c.inner.ResetSession(ctx) }

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return c.inner.IsValid() }

// Close implements driver.Conn.
func (c *conn) Close() error {
	for _, st := range c.kept {
		st.Close()
	}
	c.kept = nil
	return c.inner.Close()
}
