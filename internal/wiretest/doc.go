// Package wiretest is for tests of what goes over the wire. It knows HTTP and no
// family.
//
// A Recorder stands between a client and a server and writes a transcript of what
// they said, in which drawn values (tokens, ids, dates) are stand-ins. One
// transcript then drives both sides: a Replayer plays the server to the client,
// and Play the client to the server. A byte that differs is an error.
//
// A Hunter searches output for secrets that a test planted, in every coding that
// a careless line could have put them in.
package wiretest
