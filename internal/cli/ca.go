package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

// maxCertificate bounds what is read as a certificate or a CRL, in bytes: the
// server takes a CRL of 1 MiB.
const maxCertificate = 2 << 20

// readInput returns what a file, or for "-" standard input, holds.
func (a *app) readInput(path string) ([]byte, error) {
	in := a.stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage("", "%w", err)
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, maxCertificate+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > maxCertificate {
		return nil, usage("", "%s is too large", path)
	}
	return data, nil
}

func (a *app) caCommand() *cobra.Command {
	cmd := a.group("ca", "Administer whose client certificates are taken",
		"A client certificate is a login where a CA that counts at the listener has signed it, and\n"+
			"it names an account; see postern listener set --client-certificates.")
	cmd.AddCommand(a.caList(), a.caAdd(), a.caRemove(), a.caCRL())
	return cmd
}

func (a *app) caList() *cobra.Command {
	var listener string
	cmd := &cobra.Command{
		Use: "list", Short: "List the CAs of client certificates", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				list, err := api.AllCAs(ctx)
				if listener != "" {
					list, err = api.CAs(ctx, listener)
				}
				if err != nil {
					return err
				}
				return a.print(list, func(w io.Writer) {
					var rows [][]string
					for _, c := range list {
						rows = append(rows, []string{c.ID, c.Name, cmp.Or(c.Listener, "all"), c.Subject, c.NotAfter.Format(time.DateOnly), revocation(c)})
					}
					table(w, []string{"ID", "NAME", "LISTENER", "SUBJECT", "UNTIL", "REVOCATION"}, rows)
				})
			})
		},
	}
	cmd.Flags().StringVar(&listener, "listener", "", "those that count at the listener `NAME`")
	return cmd
}

// revocation says how it is known what a CA has revoked.
func revocation(c admin.Certificate) string {
	var how []string
	switch {
	case c.CRLURL != "":
		how = append(how, "crl from "+c.CRLURL)
	case c.HasCRL:
		how = append(how, "crl")
	}
	if c.OCSP != admin.OCSPOff {
		how = append(how, "ocsp "+string(c.OCSP))
	}
	switch len(how) {
	case 0:
		return ""
	case 1:
		return how[0]
	}
	return how[0] + ", " + how[1]
}

func (a *app) caAdd() *cobra.Command {
	var ca admin.NewCA
	var ocsp string
	cmd := &cobra.Command{
		Use: "add FILE", Short: "Take the client certificates that a CA has signed", Args: exactly("FILE"),
		Long: "Take the client certificates that a CA has signed. FILE holds its certificate in PEM; - is\nstandard input. Prints the CA's id.",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch ocsp {
			case "off":
			case string(admin.OCSPSoft), string(admin.OCSPRequired):
				ca.OCSP = admin.OCSPMode(ocsp)
			default:
				return usage("off, soft or required", "unknown --ocsp %q", ocsp)
			}
			data, err := a.readInput(args[0])
			if err != nil {
				return err
			}
			ca.PEM = string(data)
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				c, err := api.AddCA(ctx, ca)
				if err != nil {
					return err
				}
				return a.print(c, func(w io.Writer) { fmt.Fprintln(w, c.ID) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&ca.Listener, "listener", "", "at the listener `NAME` alone (default: at all)")
	flags.StringVar(&ca.Name, "name", "", "a `NAME` for it, for lists")
	flags.StringVar(&ca.CRLURL, "crl-url", "", "`URL` to fetch what the CA has revoked from, again and again")
	flags.StringVar(&ocsp, "ocsp", "off", "ask the OCSP responders that certificates name: `MODE` off, soft (no answer: not revoked) or required")
	complete(cmd, "ocsp", "off", string(admin.OCSPSoft), string(admin.OCSPRequired))
	return cmd
}

// completeCAs offers the ids of the CAs there are.
func (a *app) completeCAs(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var ids []string
	a.offer(cmd, func(ctx context.Context, api admin.API) {
		list, _ := api.AllCAs(ctx)
		for _, c := range list {
			ids = append(ids, c.ID+"\t"+c.Subject)
		}
	})
	return ids, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) caRemove() *cobra.Command {
	return &cobra.Command{
		Use: "remove ID", Short: "Take the certificates of a CA no longer, from the next request on", Args: exactly("ID"),
		ValidArgsFunction: a.completeCAs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.RemoveCA(ctx, "", args[0])
			})
		},
	}
}

func (a *app) caCRL() *cobra.Command {
	return &cobra.Command{
		Use: "crl ID FILE", Short: "Import a list of what a CA has revoked", Args: exactly("ID", "FILE"),
		Long:              "Import a list of what a CA has revoked, in PEM or DER; - is standard input. It counts from\nthe next request on.",
		ValidArgsFunction: a.completeCAs,
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.readInput(args[1])
			if err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.SetCRL(ctx, args[0], data)
			})
		},
	}
}

// accountCert administers the certificates that an account logs in with by
// itself, whoever signed them.
func (a *app) accountCert() *cobra.Command {
	cmd := a.group("cert", "Administer the client certificates of one account",
		"Certificates that are an account's own: at listeners with the mapping \"whole\" exactly these\nare its login, whoever has signed them.")
	list := &cobra.Command{
		Use: "list NAME", Short: "List the certificates of an account", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				list, err := api.AccountCertificates(ctx, auth.AccountName(args[0]))
				if err != nil {
					return err
				}
				return a.print(list, func(w io.Writer) {
					var rows [][]string
					for _, c := range list {
						rows = append(rows, []string{c.ID, c.Subject, c.NotAfter.Format(time.DateOnly), c.Fingerprint})
					}
					table(w, []string{"ID", "SUBJECT", "UNTIL", "SHA-256"}, rows)
				})
			})
		},
	}
	add := &cobra.Command{
		Use: "add NAME FILE", Short: "Add a certificate in PEM; - is standard input", Args: exactly("NAME", "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			data, err := a.readInput(args[1])
			if err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				c, err := api.AddAccountCertificate(ctx, auth.AccountName(args[0]), string(data))
				if err != nil {
					return err
				}
				return a.print(c, func(w io.Writer) { fmt.Fprintln(w, c.ID) })
			})
		},
	}
	remove := &cobra.Command{
		Use: "remove NAME ID", Short: "Remove a certificate", Args: exactly("NAME", "ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.RemoveAccountCertificate(ctx, auth.AccountName(args[0]), args[1])
			})
		},
	}
	for _, c := range []*cobra.Command{list, add, remove} {
		c.ValidArgsFunction = func(cmd *cobra.Command, args []string, start string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return a.completeAccounts(cmd, args, start)
		}
		cmd.AddCommand(c)
	}
	return cmd
}
