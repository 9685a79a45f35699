package cli

import (
	"bytes"
	"cmp"
	"context"

	"github.com/spf13/cobra"

	"github.com/postern/postern/internal/certs"
)

func (a *app) certP12() *cobra.Command {
	var password secretFlags
	var k keyFlags
	var cert, keyFile, unpack string
	var chain []string
	var legacy, force bool
	cmd := &cobra.Command{
		Use: "p12 FILE", Short: "Pack a key and its certificate into a PKCS#12 file, or unpack one", Args: exactly("FILE"),
		Long: "Pack a private key, its certificate and with --chain those above it into FILE, in PKCS#12, as\n" +
			"OpenSSL, curl (--cert-type P12), Java and Windows read it; or with --unpack write what FILE\n" +
			"holds as PEM, certificates first: the form that Python takes. Java reads passwords in ASCII\n" +
			"alone.",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, path := cmd.Context(), args[0]
			if unpack != "" {
				if cert != "" || keyFile != "" || len(chain) > 0 || legacy {
					return usage("", "--unpack goes with none of --cert, --key, --chain and --legacy")
				}
				return a.unpack(ctx, path, unpack, password, k, force)
			}
			if cert == "" {
				return usage("or --unpack, to read one", "--cert is missing")
			}
			if k.encrypt {
				return usage("FILE is always encrypted", "--encrypt is for --unpack")
			}
			keyFile = cmp.Or(keyFile, cert)
			if err := cmp.Or(apart(path, append(chain, cert, keyFile)...), free(path, force)); err != nil {
				return err
			}
			key, err := a.key(ctx, keyFile, k.passphrase)
			if err != nil {
				return err
			}
			all, err := a.certificates(ctx, append([]string{cert}, chain...), k.passphrase, "passphrase")
			if err != nil {
				return err
			}
			pair, err := certs.Pair(all, key)
			if err != nil {
				return certError(cert, err)
			}
			pass, err := a.secretOf(ctx, password, "password", "password of the new "+path, true)
			if err != nil {
				return err
			}
			data, err := certs.EncodePKCS12(key, pair, pass, legacy)
			if err != nil {
				return certError("", err)
			}
			return a.write(path, []byte(data.Reveal()), privateMode, force)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cert, "cert", "", "`FILE` with the certificate")
	f.StringVar(&keyFile, "key", "", "`FILE` with its private key (default: that of --cert)")
	f.StringArrayVar(&chain, "chain", nil, "`FILE` with the certificates above it; may be repeated")
	f.BoolVar(&legacy, "legacy", false, "3DES and SHA-1, for Java before 8u301 and Windows before 2019")
	f.StringVar(&unpack, "unpack", "", "write the certificates and the key in FILE to this `FILE`; - is standard output")
	f.BoolVar(&k.encrypt, "encrypt", false, "encrypt the key that --unpack writes; asks for a passphrase where no flag names one")
	password.addAs(cmd, "password", "the password of the PKCS#12 file")
	k.addPassphrase(cmd)
	addForce(cmd, &force)
	return cmd
}

// unpack writes what a PKCS#12 file holds as PEM.
func (a *app) unpack(ctx context.Context, path, out string, password secretFlags, k keyFlags, force bool) error {
	if err := cmp.Or(apart(out, path), free(out, force)); err != nil {
		return err
	}
	f, err := a.parseFile(ctx, path, password, "password")
	if err != nil {
		return err
	}
	text := bytes.NewBuffer(f.PEM())
	if key, err := f.Key(); err == nil {
		passphrase, err := a.newPassphrase(ctx, k)
		if err != nil {
			return err
		}
		secret, err := certs.EncodeKey(key, passphrase)
		if err != nil {
			return err
		}
		text.WriteString(secret.Reveal())
	}
	return a.write(out, text.Bytes(), privateMode, force)
}
