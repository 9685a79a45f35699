// Package sim is a simulated Redfish device: a tree of resources behind the
// logins of package redfish, with few session slots, a lockout, answers that
// take their time, and faults on demand. It plays the part of somebody else's
// BMC in tests, in the demo and in `postern sim redfish`.
//
// A device is not Postern. What guards it is its own small authority, as a
// BMC's firmware has one: accounts and sessions live in memory and die with the
// process, passwords are compared as they are, and a session costs a slot.
// Nothing here touches Postern's accounts, store or audit. The resources that
// administer the device's accounts are Postern's all the same: package
// service/redfish over a desk in memory. A Machine is the tree without all that,
// for a server that has logins of its own. The one record is
// the journal, the device's own view of what reached it, against which the
// promises of the gateway are tested.
//
// The tree is either the built-in one, which lives (resets change the power
// state and the log, sensors follow the clock), or any DMTF-style mockup
// directory, served byte for byte and writable in memory. Trees are read once
// and shared: a Device holds only what has been changed on it, so that one
// process can be a thousand devices.
package sim
