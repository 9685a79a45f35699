// Package cli is the command line of Postern. Results go to standard output, as
// text or as JSON; everything else goes to standard error, one sentence a line
// with the program's name first and, where there is one, a hint on the next.
package cli
