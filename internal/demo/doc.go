// Package demo shows what Postern is for, on one machine and within half a
// minute: a simulated BMC with few sessions and a lockout, a crowd of impatient
// clients straight at it, then the same crowd through Postern.
//
// Nothing in it is staged. The BMC is package sim, Postern is package serve,
// the clients speak HTTPS to listeners on the loopback interface, and every
// figure is counted from what clients were answered or asked of the device.
package demo
