// Package authority is the one place where an attempt to log in becomes a
// session. It checks passwords so that nobody can tell an unknown account from a
// wrong password or a disabled account, keeps the slow hash off the path of
// callers who proved their password before, and records every attempt.
//
// It answers with decisions; a family writes them in its own words.
package authority
