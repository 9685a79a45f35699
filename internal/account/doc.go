// Package account keeps the persons and programs that may log in to Postern:
// their names, roles, password hashes, whether they may log in at all, and the
// rules for passwords and lockouts that hold for all of them.
//
// A change of password, role or state ends the sessions of the account; the
// Store does both in one transaction, so that no crash can separate them. Wrong
// passwords are counted with the account, but are no change of it.
package account
