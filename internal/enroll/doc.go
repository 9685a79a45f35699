// Package enroll sets up the login of a person by certificate at a device: what
// the device needs for it, step by step, from the licence to the first login. What
// is so already is left alone, so it may run any number of times, and it stops at
// the first step that cannot be done.
//
// The steps are the same for every kind of device that can do it; an ILO is one.
package enroll
