package cli

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/certs"
)

// The modes of files with and without a private key.
const (
	privateMode = 0o600
	publicMode  = 0o644
)

func (a *app) certCommand() *cobra.Command {
	cmd := a.group("cert", "Make and read keys, certificates and PKCS#12 files",
		"What a login by certificate needs, in the forms of every tool: keys, certificate signing\n"+
			"requests (CSRs), certificates signed by a CA of one's own or by itself, PKCS#12 files.\n"+
			"All but enroll need no server. A file that is there is overwritten with --force alone.")
	cmd.AddCommand(a.certKey(), a.certCSR(), a.certSign(), a.certSelfSigned(), a.certP12(), a.certInspect(), a.certEnroll())
	return cmd
}

// keyFlags are those of the commands that use a private key.
type keyFlags struct {
	kind       string // of a new key; "" = the file is there
	encrypt    bool
	passphrase secretFlags
}

func (k *keyFlags) addPassphrase(cmd *cobra.Command) {
	k.passphrase.addAs(cmd, "passphrase", "the passphrase of the private key")
}

func (k *keyFlags) addNew(cmd *cobra.Command) {
	cmd.Flags().StringVar(&k.kind, "new-key", "", "make KEY first: `KIND` "+kindList)
	cmd.Flags().BoolVar(&k.encrypt, "encrypt", false, "encrypt the new key; asks for a passphrase where no flag names one")
	complete(cmd, "new-key", kinds()...)
}

const kindList = "p256, p384, rsa2048, rsa3072, rsa4096 or ed25519"

func kinds() []string {
	var out []string
	for _, k := range certs.KeyKinds {
		out = append(out, string(k))
	}
	return out
}

// secretOf reads a passphrase from where the flags, called word, say.
func (a *app) secretOf(ctx context.Context, s secretFlags, word, what string, isNew bool) (auth.Secret, error) {
	if s.many() {
		return auth.Secret{}, usage("one of them is enough", "--%[1]s-file, --%[1]s-env and --%[1]s-command exclude each other", word)
	}
	if !s.given() && !term.IsTerminal(int(a.stdin.Fd())) {
		return auth.Secret{}, usage(fmt.Sprintf("use --%[1]s-file FILE (- is standard input), --%[1]s-env NAME or --%[1]s-command COMMAND", word),
			"no %s, and no terminal to ask on", what)
	}
	return a.readSecret(ctx, s, what, isNew)
}

// parseFile reads one file, whose passphrase comes from the flags.
func (a *app) parseFile(ctx context.Context, path string, s secretFlags, word string) (certs.File, error) {
	data, err := a.readInput(path)
	if err != nil {
		return certs.File{}, err
	}
	f, err := certs.Parse(data, func(what string) (auth.Secret, error) {
		return a.secretOf(ctx, s, word, fmt.Sprintf("passphrase of the %s %s", what, path), false)
	})
	return f, certError(path, err)
}

// certError says what is wrong with a file. All but a wrong passphrase is a mistake
// in what was typed.
func certError(path string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*failure](err); ok {
		return err
	}
	if path != "" {
		err = fmt.Errorf("%s: %w", path, err)
	}
	if errors.Is(err, certs.ErrPassphrase) {
		return err
	}
	return usage("", "%w", err)
}

// certificates reads all certificates of some files.
func (a *app) certificates(ctx context.Context, paths []string, s secretFlags, word string) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for _, path := range paths {
		f, err := a.parseFile(ctx, path, s, word)
		if err != nil {
			return nil, err
		}
		found, err := f.Certificates()
		if err != nil {
			return nil, certError(path, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

// key reads the private key of a file.
func (a *app) key(ctx context.Context, path string, s secretFlags) (crypto.Signer, error) {
	f, err := a.parseFile(ctx, path, s, "passphrase")
	if err != nil {
		return nil, err
	}
	key, err := f.Key()
	return key, certError(path, err)
}

// keyOf reads the key, or makes it; save writes a new one, once all that needs it
// has succeeded.
func (a *app) keyOf(ctx context.Context, path string, k keyFlags, force bool) (key crypto.Signer, save func() error, err error) {
	switch {
	case k.kind != "":
		return a.makeKey(ctx, path, k, force)
	case k.encrypt:
		return nil, nil, usage("add --new-key KIND", "--encrypt is for a new key")
	}
	key, err = a.key(ctx, path, k.passphrase)
	return key, func() error { return nil }, err
}

func (a *app) makeKey(ctx context.Context, path string, k keyFlags, force bool) (key crypto.Signer, save func() error, err error) {
	if !slices.Contains(kinds(), k.kind) {
		return nil, nil, usage(kindList, "unknown kind of key %q", k.kind)
	}
	if err := free(path, force); err != nil {
		return nil, nil, err
	}
	passphrase, err := a.newPassphrase(ctx, k)
	if err != nil {
		return nil, nil, err
	}
	if key, err = certs.NewKey(certs.KeyKind(k.kind)); err != nil {
		return nil, nil, err
	}
	text, err := certs.EncodeKey(key, passphrase)
	return key, func() error { return a.write(path, []byte(text.Reveal()), privateMode, force) }, err
}

// newPassphrase is that of a key to be written; the zero Secret where it shall not
// be encrypted.
func (a *app) newPassphrase(ctx context.Context, k keyFlags) (auth.Secret, error) {
	if !k.encrypt && !k.passphrase.given() {
		return auth.Secret{}, nil
	}
	return a.secretOf(ctx, k.passphrase, "passphrase", "passphrase of the new key", true)
}

func (a *app) certKey() *cobra.Command {
	var k keyFlags
	var force bool
	cmd := &cobra.Command{
		Use: "key FILE", Short: "Make a private key", Args: exactly("FILE"),
		Long: "Make a private key in FILE, as PKCS#8 in PEM, readable by its owner alone; - is standard\n" +
			"output. With a passphrase it is encrypted with AES-256. Devices that say nothing take p256;\n" +
			"iLO asks for 2048 bits of RSA at least, Symphony for 4096.",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, save, err := a.makeKey(cmd.Context(), args[0], k, force)
			if err != nil {
				return err
			}
			return save()
		},
	}
	cmd.Flags().StringVar(&k.kind, "kind", string(certs.P256), "`KIND` "+kindList)
	cmd.Flags().BoolVar(&k.encrypt, "encrypt", false, "encrypt it; asks for a passphrase where no flag names one")
	complete(cmd, "kind", kinds()...)
	k.addPassphrase(cmd)
	addForce(cmd, &force)
	return cmd
}

func addForce(cmd *cobra.Command, force *bool) {
	cmd.Flags().BoolVar(force, "force", false, "overwrite files that are there")
}

// free tells early that a file is there.
func free(path string, force bool) error {
	if _, err := os.Lstat(path); path == "" || path == "-" || force || err != nil {
		return nil
	}
	return errTaken(path)
}

func errTaken(path string) error { return usage("--force overwrites it", "%s is there already", path) }

// apart refuses to overwrite what is read, even with --force.
func apart(out string, inputs ...string) error {
	to, err := os.Stat(out)
	if err != nil { // it is not there yet, but may be written under another name
		for _, in := range inputs {
			if out != "" && out != "-" && filepath.Clean(out) == filepath.Clean(in) {
				return usage("", "%s cannot be both read and written", out)
			}
		}
		return nil
	}
	for _, in := range inputs {
		if from, err := os.Stat(in); err == nil && os.SameFile(from, to) && from.Mode().IsRegular() {
			return usage("", "%s cannot be both read and written", out)
		}
	}
	return nil
}

// write makes a file, whole or not at all; "" and "-" are standard output.
func (a *app) write(path string, data []byte, mode fs.FileMode, force bool) error {
	if path == "" || path == "-" {
		_, err := a.stdout.Write(data)
		return err
	}
	if !force {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
		if errors.Is(err, fs.ErrExist) {
			return errTaken(path)
		}
		if err != nil {
			return usage("", "%w", err)
		}
		return fill(f, data, path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".postern-*")
	if err != nil {
		return usage("", "%w", err)
	}
	if err := f.Chmod(mode); err != nil {
		f.Close()
		os.Remove(f.Name())
		return err
	}
	if err := fill(f, data, f.Name()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		os.Remove(f.Name())
		return err
	}
	return nil
}

// fill writes and closes f, or removes it.
func fill(f *os.File, data []byte, path string) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		os.Remove(path)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// emit writes what a command makes: to a file, or as PEM or JSON to standard
// output.
func (a *app) emit(path string, item certs.Item, force bool) error {
	if path != "" && path != "-" {
		return a.write(path, item.PEM(), publicMode, force)
	}
	return a.print(item.Describe(now()), func(w io.Writer) { w.Write(item.PEM()) })
}
