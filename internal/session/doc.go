// Package session keeps the logins of callers at Postern. A Table is an index in
// memory over a Store on stable storage: whether a token is good is answered
// from memory alone, every beginning and every end is on stable storage before
// it is acknowledged.
//
// Tokens are known by their SHA-256 only. A session is good on the listener that
// made it and nowhere else.
package session
