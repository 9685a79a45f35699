package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
)

func (a *app) listenerCommand() *cobra.Command {
	cmd := a.group("listener", "Administer the rules and certificates of the listeners",
		"A listener is where callers come in: \"tree\" of an authentication server, \"target:NAME\" of a\ntarget.")
	cmd.AddCommand(a.listenerList(), a.listenerShow(), a.listenerSet(), a.listenerCert(), a.listenerCSR())
	return cmd
}

// completeListeners offers the names of the listeners there are.
func (a *app) completeListeners(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	a.offer(cmd, func(ctx context.Context, api admin.API) {
		list, _ := api.Listeners(ctx)
		for _, l := range list {
			names = append(names, l.Listener)
		}
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) listenerList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the listeners and their rules", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				list, err := api.Listeners(ctx)
				if err != nil {
					return err
				}
				return a.print(list, func(w io.Writer) {
					var rows [][]string
					for _, l := range list {
						rows = append(rows, []string{l.Listener, onOff(!l.SessionsDisabled), duration(l.SessionIdle), strings.ToLower(string(l.Basic)), certificates(l), mappingWord(l.Mapping)})
					}
					table(w, []string{"NAME", "SESSIONS", "IDLE", "BASIC", "CERTIFICATES", "MAPPING"}, rows)
				})
			})
		},
	}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// certificates is --client-certificates of rules.
func certificates(l admin.ListenerRules) string {
	if l.Certificates && l.CertificateStrict {
		return "required"
	}
	return onOff(l.Certificates)
}

var mappings = map[string]admin.Mapping{"whole": admin.MapWhole, "cn": admin.MapCommonName, "upn": admin.MapUserPrincipalName}

func mappingWord(m admin.Mapping) string {
	for word, mapping := range mappings {
		if mapping == m {
			return word
		}
	}
	return string(m)
}

func showListener(w io.Writer, l admin.ListenerRules) {
	fmt.Fprintf(w, "listener: %s\n", l.Listener)
	fmt.Fprintf(w, "sessions: %s, end after %s without use", onOff(!l.SessionsDisabled), duration(l.SessionIdle))
	if l.SessionLifetime > 0 {
		fmt.Fprintf(w, ", and after %s in any case", duration(l.SessionLifetime))
	}
	fmt.Fprintf(w, "\nbasic: %s\n", strings.ToLower(string(l.Basic)))
	fmt.Fprintf(w, "client certificates: %s, mapping %s\n", certificates(l), mappingWord(l.Mapping))
}

func (a *app) listenerShow() *cobra.Command {
	return &cobra.Command{
		Use: "show NAME", Short: "Show the rules of a listener", Args: exactly("NAME"), ValidArgsFunction: a.completeListeners,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				l, err := api.ListenerRules(ctx, args[0])
				if err != nil {
					return err
				}
				return a.print(l, func(w io.Writer) { showListener(w, l) })
			})
		},
	}
}

// A choice is the value of a flag that is one of few words.
type choice[T any] struct {
	flag   string
	word   string
	values map[string]T
}

func (c *choice[T]) get() (v T, err error) {
	v, ok := c.values[c.word]
	if !ok {
		return v, usage("", "unknown --%s %q", c.flag, c.word)
	}
	return v, nil
}

type certificateMode struct{ on, strict bool }

func (a *app) listenerSet() *cobra.Command {
	var idle, lifetime time.Duration
	sessions := choice[bool]{flag: "sessions", values: map[string]bool{"on": true, "off": false}}
	basic := choice[admin.BasicMode]{flag: "basic", values: map[string]admin.BasicMode{
		"enabled": admin.BasicEnabled, "unadvertised": admin.BasicUnadvertised, "disabled": admin.BasicDisabled,
	}}
	certs := choice[certificateMode]{flag: "client-certificates", values: map[string]certificateMode{
		"off": {}, "on": {on: true}, "required": {on: true, strict: true},
	}}
	mapping := choice[admin.Mapping]{flag: "mapping", values: mappings}
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Change rules of a listener", Args: exactly("NAME"), ValidArgsFunction: a.completeListeners,
		RunE: func(cmd *cobra.Command, args []string) error {
			// What is wrong on the command line is found before anything is asked.
			change, err := listenerChange(cmd, sessions, basic, certs, mapping, idle, lifetime)
			if err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				l, err := api.ListenerRules(ctx, args[0])
				if err != nil {
					return err
				}
				change(&l)
				if l, err = api.SetListenerRules(ctx, l); err != nil {
					return err
				}
				return a.print(l, func(w io.Writer) { showListener(w, l) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&sessions.word, sessions.flag, "", "whether logins get sessions: `MODE` on or off; those that live go on")
	flags.DurationVar(&idle, "idle", 0, "a session ends after so long without use, 30s to 24h")
	flags.DurationVar(&lifetime, "lifetime", 0, "and after so long in any case; 0: no such end")
	flags.StringVar(&basic.word, basic.flag, "", "HTTP Basic: `MODE` enabled, unadvertised or disabled")
	flags.StringVar(&certs.word, certs.flag, "", "client certificates: `MODE` off, on, or required (no handshake without a good one)")
	flags.StringVar(&mapping.word, mapping.flag, "", "what of a certificate names the account: `WHAT` whole, cn or upn")
	complete(cmd, sessions.flag, "on", "off")
	complete(cmd, basic.flag, "enabled", "unadvertised", "disabled")
	complete(cmd, certs.flag, "off", "on", "required")
	complete(cmd, mapping.flag, "whole", "cn", "upn")
	return cmd
}

// listenerChange is what the given flags change.
func listenerChange(cmd *cobra.Command, sessions choice[bool], basic choice[admin.BasicMode], certs choice[certificateMode],
	mapping choice[admin.Mapping], idle, lifetime time.Duration) (func(*admin.ListenerRules), error) {
	var do []func(*admin.ListenerRules)
	var err error
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	given := changed(cmd, map[string]func(){
		sessions.flag: func() {
			on, e := sessions.get()
			keep(e)
			do = append(do, func(l *admin.ListenerRules) { l.SessionsDisabled = !on })
		},
		basic.flag: func() {
			mode, e := basic.get()
			keep(e)
			do = append(do, func(l *admin.ListenerRules) { l.Basic = mode })
		},
		certs.flag: func() {
			mode, e := certs.get()
			keep(e)
			do = append(do, func(l *admin.ListenerRules) { l.Certificates, l.CertificateStrict = mode.on, mode.strict })
		},
		mapping.flag: func() {
			what, e := mapping.get()
			keep(e)
			do = append(do, func(l *admin.ListenerRules) { l.Mapping = what })
		},
		"idle":     func() { do = append(do, func(l *admin.ListenerRules) { l.SessionIdle = idle }) },
		"lifetime": func() { do = append(do, func(l *admin.ListenerRules) { l.SessionLifetime = lifetime }) },
	})
	if !given {
		return nil, usage(seeHelp(cmd), "nothing to change")
	}
	return func(l *admin.ListenerRules) {
		for _, f := range do {
			f(l)
		}
	}, err
}

// listenerCert administers what a listener shows in its handshakes.
func (a *app) listenerCert() *cobra.Command {
	cmd := a.group("cert", "Administer the certificate that a listener shows", "")
	show := &cobra.Command{
		Use: "show NAME", Short: "Show the certificate", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				c, err := api.ServerCertificate(ctx, args[0])
				if err != nil {
					return err
				}
				return a.print(c, func(w io.Writer) {
					fmt.Fprintf(w, "subject: %s\nissuer: %s\nvalid: %s to %s\nsha-256: %s\n%s", c.Subject, c.Issuer,
						c.NotBefore.UTC().Format(time.DateOnly), c.NotAfter.UTC().Format(time.DateOnly), c.Fingerprint, c.PEM)
				})
			})
		},
	}
	var keyFile string
	set := &cobra.Command{
		Use: "set NAME FILE", Short: "Show another certificate from the next handshake on", Args: exactly("NAME", "FILE"),
		Long: "Show another certificate from the next handshake on. FILE holds it in PEM, followed by those\n" +
			"of intermediate CAs; - is standard input. Its key is in --key-file, or in FILE too, or it is\nthat of the last postern listener csr.",
		RunE: func(cmd *cobra.Command, args []string) error {
			chain, err := a.readInput(args[1])
			if err != nil {
				return err
			}
			key, err := a.readKey(keyFile)
			if err != nil {
				return err
			}
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				_, err := api.ReplaceServerCertificate(ctx, args[0], string(chain), key)
				return err
			})
		},
	}
	set.Flags().StringVar(&keyFile, "key-file", "", "`FILE` with the private key in PEM")
	reset := &cobra.Command{
		Use: "reset NAME", Short: "Show a certificate of Postern's own CA again", Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				return api.ResetServerCertificate(ctx, args[0])
			})
		},
	}
	for _, c := range []*cobra.Command{show, set, reset} {
		c.ValidArgsFunction = a.completeListeners
		cmd.AddCommand(c)
	}
	return cmd
}

// readKey reads a private key; "" is none.
func (a *app) readKey(path string) (auth.Secret, error) {
	if path == "" {
		return auth.Secret{}, nil
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o044 != 0 {
		a.say("warning: other users can read %s", path)
	}
	data, err := a.readInput(path)
	return auth.NewSecret(string(data)), err
}

func (a *app) listenerCSR() *cobra.Command {
	var r admin.CSRRequest
	cmd := &cobra.Command{
		Use: "csr NAME", Short: "Make a key, keep it, and print a request for a certificate", Args: exactly("NAME"),
		Long: "Make a private key for a listener, keep it sealed, and print a certificate signing request\n" +
			"for it. What a CA makes of it goes to postern listener cert set. Until then nothing changes.",
		ValidArgsFunction: a.completeListeners,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.administer(cmd.Context(), func(ctx context.Context, api admin.API) error {
				csr, err := api.CertificateRequest(ctx, args[0], r)
				if err != nil {
					return err
				}
				return a.print(map[string]string{"csr": csr}, func(w io.Writer) { io.WriteString(w, csr) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.CommonName, "cn", "", "common `NAME` (default: the listener's host)")
	flags.StringSliceVar(&r.Names, "names", nil, "host `NAMES` and addresses, with commas (default: the common name)")
	flags.StringVar(&r.Organization, "organization", "", "`NAME` of the organization")
	flags.StringVar(&r.OrganizationalUnit, "unit", "", "`NAME` of the organizational unit")
	flags.StringVar(&r.City, "city", "", "`NAME` of the city")
	flags.StringVar(&r.State, "state", "", "`NAME` of the state or province")
	flags.StringVar(&r.Country, "country", "", "two `LETTERS` of the country")
	flags.StringVar(&r.Email, "email", "", "`ADDRESS` of who answers for it")
	flags.StringVar(&r.KeyKind, "key", "", "`KIND` of key: EC or RSA (default EC)")
	flags.IntVar(&r.KeyBits, "bits", 0, "`SIZE` of the key: 256 or 384 (EC); 2048, 3072 or 4096 (RSA)")
	complete(cmd, "key", "EC", "RSA")
	return cmd
}
