package certs

import (
	"crypto/cipher"
	"crypto/des"
	"crypto/sha1"
	"math/big"
	"unicode/utf16"
)

// pkcs12DES3 is pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292, appendix C), which
// OpenSSL writes for pkcs8 -v1 PBE-SHA1-3DES.
func pkcs12DES3(p pbeParams, pass []byte) (cipher.Block, []byte, error) {
	var text []byte // a BMPString with its two zero bytes
	for _, u := range append(utf16.Encode([]rune(string(pass))), 0) {
		text = append(text, byte(u>>8), byte(u))
	}
	block, err := des.NewTripleDESCipher(pkcs12KDF(p, text, 1, 24))
	return block, pkcs12KDF(p, text, 2, des.BlockSize), err
}

// pkcs12KDF is RFC 7292, appendix B.2, with SHA-1. id says what for: 1 a key, 2 an
// initialization vector.
func pkcs12KDF(p pbeParams, pass []byte, id byte, n int) []byte {
	const v = sha1.BlockSize
	var d [v]byte
	for i := range d {
		d[i] = id
	}
	in := append(repeat(p.Salt, v), repeat(pass, v)...)
	var out []byte
	for {
		a := sha1.Sum(append(d[:], in...))
		for range p.Iterations - 1 {
			a = sha1.Sum(a[:])
		}
		if out = append(out, a[:]...); len(out) >= n {
			return out[:n]
		}
		addEach(in, repeat(a[:], v)[:v])
	}
}

// repeat fills a whole number of blocks of v bytes with s again and again.
func repeat(s []byte, v int) []byte {
	if len(s) == 0 {
		return nil
	}
	out := make([]byte, 0, (len(s)+v-1)/v*v)
	for len(out) < cap(out) {
		out = append(out, s[:min(len(s), cap(out)-len(out))]...)
	}
	return out
}

// addEach adds b and 1 to each block of in, modulo its size.
func addEach(in, b []byte) {
	one := new(big.Int).Add(new(big.Int).SetBytes(b), big.NewInt(1))
	mod := new(big.Int).Lsh(big.NewInt(1), uint(8*len(b)))
	for ; len(in) > 0; in = in[len(b):] {
		x := new(big.Int).SetBytes(in[:len(b)])
		x.Add(x, one).Mod(x, mod).FillBytes(in[:len(b)])
	}
}
