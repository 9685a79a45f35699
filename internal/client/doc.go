// Package client is what the client commands do with a device: log in once for
// all of them, use the saved login, make it anew when the device no longer knows
// it, and end it. It knows no family.
package client
