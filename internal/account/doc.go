// Package account keeps the persons and programs that may log in to Postern:
// their names, roles, password hashes, and whether they may log in at all.
//
// A change of password, role or state ends the sessions of the account; the
// Store does both in one transaction, so that no crash can separate them.
package account
