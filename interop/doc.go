// Package interop holds the tests that run unmodified third-party Redfish
// clients, and devices nobody here wrote, against the built binary, and the
// tests that kill it.
//
// They carry the build tag "integration" and need what `make test` installs:
// a Python environment with the clients of requirements.txt, curl and jq.
// What they find out goes into docs/compatibility.md by `make compat`.
package interop
