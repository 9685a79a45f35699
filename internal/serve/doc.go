// Package serve puts the parts together: it opens the data directory, gives
// each target its listener and its gateway, and runs all of it until told to
// stop. It is the one place that sees every package and every family.
package serve
