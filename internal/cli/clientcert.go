package cli

import (
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/target"
)

// certFlags say where a client certificate is that stands for a password.
type certFlags struct{ file, key string }

func (c *certFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.file, "cert-file", "", "`FILE` with a client certificate in PEM, which is shown to the device in the place of a password")
	cmd.Flags().StringVar(&c.key, "key-file", "", "`FILE` with the client certificate's private key in PEM (default: in the file of --cert-file)")
}

func (c *certFlags) given() bool { return c.file != "" }

func (c *certFlags) keyFile() string {
	if c.key == "" {
		return c.file
	}
	return c.key
}

func (c *certFlags) check(s secretFlags) error {
	switch {
	case c.key != "" && c.file == "":
		return usage("--cert-file FILE", "--key-file without --cert-file")
	case c.file != "" && s.given():
		return usage("the certificate stands in the place of a password", "--cert-file and a password exclude each other")
	}
	return nil
}

// A clientCert is what the files hold.
type clientCert struct {
	chain string // in PEM
	key   auth.Secret
	pair  auth.ClientCertificate
}

// read reads the files: now, and for each login and connection that follows.
func (c *certFlags) read() (clientCert, error) {
	chain, err := readPEM("--cert-file", c.file, func(kind string) bool { return kind == "CERTIFICATE" })
	if err != nil {
		return clientCert{}, err
	}
	key, err := readPEM("--key-file", c.keyFile(), func(kind string) bool { return strings.HasSuffix(kind, "PRIVATE KEY") })
	if err != nil {
		return clientCert{}, err
	}
	out := clientCert{chain: chain, key: auth.NewSecret(key)}
	if out.pair, err = target.ClientCertificate([]byte(chain), out.key); err != nil {
		return clientCert{}, usage("", "%w", err)
	}
	return out, nil
}

// name is the common name of the certificate: what its owner is called where nobody
// says.
func (c clientCert) name() string { return c.pair.Reveal().Leaf.Subject.CommonName }

// maxPEM bounds what is read of a file with a certificate or a key, in bytes.
const maxPEM = 128 << 10

// readPEM returns the blocks of a file that are wanted.
func readPEM(flag, path string, wanted func(kind string) bool) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", usage("", "%s: %w", flag, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPEM))
	if err != nil {
		return "", usage("", "%s: %w", flag, err)
	}
	var out strings.Builder
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if wanted(block.Type) {
			out.Write(pem.EncodeToMemory(block))
		}
	}
	if out.Len() == 0 {
		return "", usage("PEM begins with -----BEGIN", "%s: %s holds nothing of that kind in PEM", flag, path)
	}
	return out.String(), nil
}

// warnExposed says that other users can read the key.
func (a *app) warnExposed(c certFlags) {
	if info, err := os.Stat(c.keyFile()); err == nil && info.Mode().Perm()&0o044 != 0 {
		a.say("warning: other users can read %s", c.keyFile())
	}
}

// references are what a server keeps of the files, which it reads again.
func (c *certFlags) references() (chain, key string, err error) {
	if chain, err = filepath.Abs(c.file); err != nil {
		return "", "", err
	}
	if key, err = filepath.Abs(c.keyFile()); err != nil {
		return "", "", err
	}
	return "file:" + chain, "file:" + key, nil
}
