// Postern is the keeper of the back gates of an infrastructure: it logs in to
// management controllers so that callers need not.
package main

import (
	"os"

	"github.com/postern/postern/internal/cli"
)

// version is set by the linker.
var version string

func main() { os.Exit(cli.Main(version)) }
