// Package leakcheck runs any client against a strict simulated device and says
// what the client does with credentials and sessions: whether it leaves sessions
// behind, sends two credentials at once, tries a refused password again, or
// gives its password to a device that it cannot know.
package leakcheck
