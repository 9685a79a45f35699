package cli

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/certs"
)

// now is what the certificates take for the time. Nothing else here depends on it.
func now() time.Time { return time.Now() }

// subjectFlags are the rows of the table that a PKI team asks for.
func subjectFlags(cmd *cobra.Command, s *certs.Subject) {
	f := cmd.Flags()
	f.StringVar(&s.CommonName, "cn", "", "common `NAME`: for a login the name of the account, letter for letter")
	f.StringVar(&s.Organization, "organization", "", "`NAME` of the organization (O)")
	f.StringVar(&s.Department, "department", "", "`NAME` of the department (OU)")
	f.StringVar(&s.Email, "email", "", "mail `ADDRESS` in the subject")
	f.StringVar(&s.Locality, "locality", "", "city or other `PLACE` (L)")
	f.StringVar(&s.State, "state", "", "state or province, `PLACE` (ST)")
	f.StringVar(&s.Country, "country", "", "country, two capital `LETTERS` (C)")
}

// nameFlags are the subject alternative names.
func nameFlags(cmd *cobra.Command, n *certs.Names) {
	f := cmd.Flags()
	f.StringSliceVar(&n.DNS, "dns", nil, "host `NAME` as alternative name; this and the next ones may be repeated, or several with commas")
	f.StringSliceVar(&n.IPs, "ip", nil, "`ADDRESS` as alternative name")
	f.StringSliceVar(&n.Emails, "san-email", nil, "mail `ADDRESS` as alternative name")
	f.StringSliceVar(&n.UPNs, "upn", nil, "User Principal Name, `USER@DOMAIN`, as alternative name")
	f.StringSliceVar(&n.URIs, "uri", nil, "`URI` as alternative name")
}

func (a *app) certCSR() *cobra.Command {
	var k keyFlags
	var s certs.Subject
	var n certs.Names
	var out string
	var tabled, force bool
	cmd := &cobra.Command{
		Use: "csr KEY", Short: "Make a certificate signing request (CSR) for a key", Args: exactly("KEY"),
		Long: "Make a certificate signing request for the private key in KEY, which --new-key makes first.\n" +
			"It is written to standard output, or with --out to a file. --table prints what a PKI team\n" +
			"wants to know beside it, as a table; the request itself is then written with --out alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.CommonName == "" {
				return usage("the account's name, for a login", "--cn is missing")
			}
			if err := cmp.Or(apart(out, args[0]), free(out, force)); err != nil {
				return err
			}
			key, save, err := a.keyOf(cmd.Context(), args[0], k, force)
			if err != nil {
				return err
			}
			r, err := certs.NewRequest(key, s, n)
			if err != nil {
				return certError("", err)
			}
			if err := save(); err != nil {
				return err
			}
			item := certs.Item{Request: r}
			if !tabled {
				return a.emit(out, item, force)
			}
			if out != "" {
				if err := a.write(out, item.PEM(), publicMode, force); err != nil {
					return err
				}
			}
			rows, err := certs.Table(r)
			if err != nil {
				return certError("", err)
			}
			return a.print(rows, func(w io.Writer) { markdown(w, rows) })
		},
	}
	k.addNew(cmd)
	k.addPassphrase(cmd)
	subjectFlags(cmd, &s)
	nameFlags(cmd, &n)
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write it to")
	cmd.Flags().BoolVar(&tabled, "table", false, "print the table for a PKI team")
	addForce(cmd, &force)
	return cmd
}

// markdown writes a table that mail, wikis and tickets take as one.
func markdown(w io.Writer, rows []certs.Row) {
	width := [2]int{len("Details"), len("Values")}
	for _, r := range rows {
		width[0], width[1] = max(width[0], utf8.RuneCountInString(r.Detail)), max(width[1], utf8.RuneCountInString(r.Value))
	}
	line := func(detail, value string) { fmt.Fprintf(w, "| %-*s | %-*s |\n", width[0], detail, width[1], value) }
	line("Details", "Values")
	line(strings.Repeat("-", width[0]), strings.Repeat("-", width[1]))
	for _, r := range rows {
		line(r.Detail, strings.ReplaceAll(r.Value, "|", `\|`))
	}
}

// orderFlags say what a certificate shall be.
type orderFlags struct {
	profile string
	days    int
	out     string
	force   bool
}

func (o *orderFlags) add(cmd *cobra.Command, days string) {
	f := cmd.Flags()
	f.StringVar(&o.profile, "for", string(certs.Client), "what it is for: `PROFILE` client, server or ca")
	f.IntVar(&o.days, "days", 0, "`DAYS` from now that it is valid (default: "+days+")")
	f.StringVar(&o.out, "out", "", "`FILE` to write it to")
	addForce(cmd, &o.force)
	complete(cmd, "for", "client", "server", "ca")
}

func (o *orderFlags) order(cmd *cobra.Command, n certs.Names) (certs.Order, error) {
	if !slices.Contains(certs.Profiles, certs.Profile(o.profile)) {
		return certs.Order{}, usage("client, server or ca", "unknown --for %q", o.profile)
	}
	if cmd.Flags().Changed("days") && o.days < 1 {
		return certs.Order{}, usage("", "--days must be 1 at least")
	}
	return certs.Order{Profile: certs.Profile(o.profile), Days: o.days, Names: n, Now: now()}, nil
}

func (a *app) certSign() *cobra.Command {
	var o orderFlags
	var n certs.Names
	var passphrase secretFlags
	var ca, caKey string
	cmd := &cobra.Command{
		Use: "sign CSR", Short: "Sign a request with a CA of one's own", Args: exactly("CSR"),
		Long: "Sign the certificate signing request in CSR with the CA in --ca, whose private key is in\n" +
			"--ca-key, or in the same file. Subject and alternative names are those of the request, or\n" +
			"the names that flags give; its uses are those of --for, whatever the request asks for. The\n" +
			"serial number is random.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if ca == "" {
				return usage("", "--ca is missing")
			}
			caKey = cmp.Or(caKey, ca)
			order, err := o.order(cmd, n)
			if err := cmp.Or(err, apart(o.out, args[0], ca, caKey), free(o.out, o.force)); err != nil {
				return err
			}
			ctx := cmd.Context()
			f, err := a.parseFile(ctx, args[0], passphrase, "passphrase")
			if err != nil {
				return err
			}
			r, err := f.Request()
			if err != nil {
				return certError(args[0], err)
			}
			key, err := a.key(ctx, caKey, passphrase)
			if err != nil {
				return err
			}
			issuers, err := a.certificates(ctx, []string{ca}, passphrase, "passphrase")
			if err != nil {
				return err
			}
			issuer, err := certs.Pair(issuers, key)
			if err != nil {
				return certError(ca, err)
			}
			c, err := certs.Sign(r, issuer[0], key, order)
			if err != nil {
				return certError("", err)
			}
			item := certs.Item{Certificate: c}
			a.tell(item)
			return a.emit(o.out, item, o.force)
		},
	}
	cmd.Flags().StringVar(&ca, "ca", "", "`FILE` with the CA's certificate")
	cmd.Flags().StringVar(&caKey, "ca-key", "", "`FILE` with the CA's private key (default: that of --ca)")
	passphrase.addAs(cmd, "passphrase", "the passphrase of the CA's private key")
	o.add(cmd, fmt.Sprintf("%d, but no longer than the CA", certs.DefaultDays))
	nameFlags(cmd, &n)
	return cmd
}

// tell says what was signed: whoever signs should look at it.
func (a *app) tell(item certs.Item) {
	d := item.Describe(now())
	names := ""
	if len(d.Names) > 0 {
		names = " (" + strings.Join(d.Names, ", ") + ")"
	}
	a.say("signed %s%s: %s, until %s", d.Subject, names, strings.Join(d.Uses, ", "), d.NotAfter.Format(time.DateOnly))
}

func (a *app) certSelfSigned() *cobra.Command {
	var o orderFlags
	var k keyFlags
	var s certs.Subject
	var n certs.Names
	cmd := &cobra.Command{
		Use: "self-signed KEY", Short: "Make a certificate that signs itself, or a CA", Args: exactly("KEY"),
		Long: "Make a certificate for the private key in KEY, which --new-key makes first, signed with that\n" +
			"key. --for ca makes a CA for postern cert sign.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.CommonName == "" {
				return usage("", "--cn is missing")
			}
			order, err := o.order(cmd, n)
			if err := cmp.Or(err, apart(o.out, args[0]), free(o.out, o.force)); err != nil {
				return err
			}
			key, save, err := a.keyOf(cmd.Context(), args[0], k, o.force)
			if err != nil {
				return err
			}
			c, err := certs.SelfSigned(key, s, order)
			if err != nil {
				return certError("", err)
			}
			if err := save(); err != nil {
				return err
			}
			return a.emit(o.out, certs.Item{Certificate: c}, o.force)
		},
	}
	k.addNew(cmd)
	k.addPassphrase(cmd)
	subjectFlags(cmd, &s)
	nameFlags(cmd, &n)
	o.add(cmd, fmt.Sprint(certs.DefaultDays))
	return cmd
}
