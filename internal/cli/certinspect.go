package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/certs"
)

func (a *app) certInspect() *cobra.Command {
	var passphrase secretFlags
	var asPEM, asLine bool
	cmd := &cobra.Command{
		Use: "inspect FILE...", Short: "Tell what is in certificates, CSRs, keys, PKCS#7 and PKCS#12 files",
		Long: "Tell what is in files of any form: PEM with text around it and any ends of lines, DER (.cer,\n" +
			".crt, .der), PKCS#7 (.p7b), PKCS#12 (.p12, .pfx), keys of every form, the text of a JSON\n" +
			"string; - is standard input. --pem turns all but private keys into PEM; --json-line prints\n" +
			"that PEM as the inside of a JSON string, one line with \\n for each end of a line.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage(seeHelp(cmd), "FILE is missing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if asPEM && asLine {
				return usage("one of them is enough", "--pem and --json-line exclude each other")
			}
			var files []inspected
			var text []byte
			for _, path := range args {
				f, err := a.parseFile(cmd.Context(), path, passphrase, "passphrase")
				if err != nil {
					return err
				}
				text = append(text, f.PEM()...)
				files = append(files, inspect(path, f))
			}
			if asPEM || asLine {
				if len(text) == 0 {
					return usage("postern cert p12 FILE --unpack writes keys, too", "there are private keys alone")
				}
				line := string(text)
				if asLine {
					line = certs.JSONLine(text) + "\n"
				}
				_, err := io.WriteString(a.stdout, line)
				return err
			}
			return a.print(files, func(w io.Writer) { show(w, files) })
		},
	}
	passphrase.addAs(cmd, "passphrase", "the passphrase of a private key or PKCS#12 file")
	cmd.Flags().BoolVar(&asPEM, "pem", false, "print the PEM of all but private keys")
	cmd.Flags().BoolVar(&asLine, "json-line", false, "print that PEM as it stands in a JSON string, without the quotes")
	return cmd
}

// inspected is what one file holds.
type inspected struct {
	File  string              `json:"file"`
	Form  string              `json:"form"`
	Items []certs.Description `json:"items"`
}

func inspect(path string, f certs.File) inspected {
	out := inspected{File: path, Form: f.Form}
	for _, i := range f.Items {
		out.Items = append(out.Items, i.Describe(now()))
	}
	return out
}

func show(w io.Writer, files []inspected) {
	for i, f := range files {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "%s: %s\n", f.File, f.Form)
		for _, d := range f.Items {
			fmt.Fprintln(w)
			showItem(w, d)
		}
	}
}

func showItem(w io.Writer, d certs.Description) {
	tw := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(tw, "%s\t%s\n", name, value)
		}
	}
	kind := d.Kind
	if d.Role != "" {
		kind = d.Role + " " + kind
	}
	row("kind", kind)
	row("subject", d.Subject)
	issuer := d.Issuer
	if d.SelfIssued {
		issuer = "itself"
	}
	row("issuer", issuer)
	row("serial", d.Serial)
	row("names", strings.Join(d.Names, ", "))
	row("key", d.Key)
	row("signature", d.Signature)
	row("valid", validity(d))
	row("uses", strings.Join(d.Uses, ", "))
	if d.Kind == "crl" {
		row("revoked", fmt.Sprint(d.Revoked))
	}
	row("sha-256", d.Fingerprint)
	for _, n := range d.Notes {
		row("note", n)
	}
	tw.Flush()
}

func validity(d certs.Description) string {
	if d.NotBefore == nil {
		return ""
	}
	end := "no end"
	if d.NotAfter != nil {
		end = d.NotAfter.Format(time.RFC3339)
	}
	return d.NotBefore.Format(time.RFC3339) + " to " + end
}
