// Package saved keeps the logins that one command made for the next ones: in
// one file of the user, which many processes share. A login is written down
// before it is used, and a logout before it is sent, so that a crash loses
// neither.
package saved
