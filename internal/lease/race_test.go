//go:build race

package lease_test

// raced: the race detector makes each path ten times as slow, and wants few.
func init() { raced = true }
