package certs

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Parse reads what data holds, whatever the form: PEM with text around it and any
// ends of lines, in UTF-8 or the UTF-16 that PowerShell's > writes, or as the text
// of a JSON string; or in DER a certificate, a CSR, a CRL, a private key, PKCS#7
// or PKCS#12. Errors: ErrMalformed, ErrUnsupported, ErrPassphrase, ErrNoPassphrase,
// and those of f, which may be nil.
func Parse(data []byte, f Ask) (File, error) {
	if len(data) > MaxFile {
		return File{}, fmt.Errorf("a file of more than %d bytes %w", MaxFile, ErrUnsupported)
	}
	if text := plain(data); bytes.Contains(text, []byte(begin)) {
		return parsePEM(text, f)
	}
	return parseDER(data, f)
}

const begin = "-----BEGIN "

// plain undoes what editors, shells and JSON do to a text.
func plain(data []byte) []byte {
	switch {
	case bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")):
		data = data[3:]
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		data = fromUTF16(data[2:], binary.LittleEndian)
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		data = fromUTF16(data[2:], binary.BigEndian)
	}
	if bytes.Contains(data, []byte(`-----\n`)) || bytes.Contains(data, []byte(`-----\r\n`)) {
		data = []byte(strings.NewReplacer(`\r\n`, "\n", `\n`, "\n", `\/`, "/").Replace(string(data)))
		data = bytes.ReplaceAll(data, []byte(`"`), []byte("\n"))
	}
	return data
}

func fromUTF16(data []byte, order binary.ByteOrder) []byte {
	var units []uint16
	for ; len(data) >= 2; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	return []byte(string(utf16.Decode(units)))
}

func parsePEM(text []byte, f Ask) (File, error) {
	file := File{Form: "PEM"}
	wanted := bytes.Count(text, []byte(begin))
	found := 0
	for rest := text; ; found++ {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		items, err := parseBlock(b, f)
		if err != nil {
			return File{}, err
		}
		if file.Items = append(file.Items, items...); len(file.Items) > maxItems {
			return File{}, errTooMany
		}
	}
	if found != wanted { // pem.Decode steps over a block that it cannot read
		return File{}, fmt.Errorf("a damaged PEM block %w", ErrMalformed)
	}
	if len(file.Items) == 0 {
		return File{}, fmt.Errorf("a PEM file with parameters alone %w", ErrMalformed)
	}
	return file, nil
}

var errTooMany = fmt.Errorf("a file with more than %d certificates, requests and keys %w", maxItems, ErrUnsupported)

func parseBlock(b *pem.Block, f Ask) ([]Item, error) {
	switch b.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
		return one(parseCertificate(b.Bytes))
	case "TRUSTED CERTIFICATE": // OpenSSL's: what it is trusted for stands behind it
		var c asn1.RawValue
		if _, err := asn1.Unmarshal(b.Bytes, &c); err != nil {
			return nil, fmt.Errorf("a certificate %w", ErrMalformed)
		}
		return one(parseCertificate(c.FullBytes))
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return one(parseRequest(b.Bytes))
	case "X509 CRL":
		return one(parseCRL(b.Bytes))
	case "PKCS7", "CMS":
		return parsePKCS7(b.Bytes)
	case "PKCS12":
		return parsePKCS12(b.Bytes, f)
	case "EC PARAMETERS", "DH PARAMETERS":
		return nil, nil
	}
	if strings.HasSuffix(b.Type, "PRIVATE KEY") {
		key, err := parseKeyBlock(b, f)
		return one(Item{Key: key}, err)
	}
	return nil, fmt.Errorf("a PEM block %.40q %w", b.Type, ErrUnsupported)
}

func one(i Item, err error) ([]Item, error) {
	if err != nil {
		return nil, err
	}
	return []Item{i}, nil
}

func parseCertificate(der []byte) (Item, error) {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return Item{}, fmt.Errorf("a certificate %w: %v", ErrMalformed, err)
	}
	return Item{Certificate: c}, nil
}

func parseRequest(der []byte) (Item, error) {
	r, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return Item{}, fmt.Errorf("a certificate signing request %w: %v", ErrMalformed, err)
	}
	return Item{Request: r}, nil
}

func parseCRL(der []byte) (Item, error) {
	l, err := x509.ParseRevocationList(der)
	if err != nil {
		return Item{}, fmt.Errorf("a certificate revocation list %w: %v", ErrMalformed, err)
	}
	return Item{CRL: l}, nil
}

// parseDER finds out what data is: the forms exclude each other.
func parseDER(data []byte, f Ask) (File, error) {
	if len(data) == 0 {
		return File{}, fmt.Errorf("an empty file %w", ErrMalformed)
	}
	if data[0] != 0x30 { // ASN.1 SEQUENCE, of which all of them are made
		return File{}, fmt.Errorf("a file that is neither PEM nor DER %w%s", ErrMalformed, guess(data))
	}
	for _, parse := range []func([]byte) (Item, error){parseCertificate, parseRequest, parseCRL} {
		if i, err := parse(data); err == nil {
			return File{Form: "DER", Items: []Item{i}}, nil
		}
	}
	if key, err := parseKeyDER(data); err == nil {
		return File{Form: "DER", Items: []Item{{Key: key}}}, nil
	}
	form := "PKCS#7"
	items, err := parsePKCS7(data)
	if errors.Is(err, errOtherForm) {
		form = "PKCS#12"
		items, err = parsePKCS12(data, f)
	}
	if errors.Is(err, errOtherForm) && isEncryptedKey(data) {
		form = "DER"
		key, e := openKey(data, f)
		items, err = one(Item{Key: key}, e)
	}
	if errors.Is(err, errOtherForm) {
		_, err = parseCertificate(data) // the most likely; its error says where
	}
	if err != nil {
		return File{}, err
	}
	if len(items) > maxItems {
		return File{}, errTooMany
	}
	return File{Form: form, Items: items}, nil
}

// errOtherForm: it is not of the form that was tried.
var errOtherForm = errors.New("another form")

// guess names what people take for a certificate.
func guess(data []byte) string {
	head := bytes.ToLower(bytes.TrimSpace(data[:min(len(data), 512)]))
	switch {
	case bytes.HasPrefix(head, []byte("<!doctype")), bytes.HasPrefix(head, []byte("<html")):
		return ": it is a web page"
	case bytes.HasPrefix(head, []byte("ssh-")):
		return ": it is an SSH key"
	case bytes.HasPrefix(data, []byte{0xFE, 0xED, 0xFE, 0xED}):
		return ": it is a Java key store; run keytool -importkeystore -deststoretype PKCS12"
	}
	return ""
}
