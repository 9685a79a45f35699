package certs

import (
	"encoding/asn1"
	"errors"
	"fmt"
	"math"
)

// maxDepth bounds how deep values are nested; real PKCS#7 has 12 levels.
const maxDepth = 40

var errBER = errors.New("bad BER")

// compound is the bit of a tag's first byte that says that values are inside.
const compound = 0x20

// toDER rewrites BER, as streaming writers make PKCS#7 and PKCS#12, so that
// encoding/asn1 reads it: definite, shortest lengths, and octet strings in one
// piece. It does not sort sets. X.690, 8.1 and 10.
func toDER(ber []byte) ([]byte, error) {
	out, rest, err := convert(nil, ber, maxDepth)
	if err != nil || len(rest) != 0 {
		return nil, errBER
	}
	return out, nil
}

// convert appends the first value of in to out.
func convert(out, in []byte, depth int) (_, rest []byte, _ error) {
	tag, body, rest, indefinite, err := header(in)
	if err != nil || depth == 0 {
		return nil, nil, errBER
	}
	if tag[0]&compound == 0 {
		if indefinite {
			return nil, nil, errBER
		}
		return value(out, tag, body), rest, nil
	}
	var inner []byte
	var shape []byte // the first bytes of the children's tags
	for {
		if indefinite {
			body = rest
			if len(body) >= 2 && body[0] == 0 && body[1] == 0 {
				rest = body[2:]
				break
			}
		}
		if len(body) == 0 {
			if indefinite {
				return nil, nil, errBER
			}
			break
		}
		at := len(inner)
		first := body[0]
		if inner, body, err = convert(inner, body, depth-1); err != nil {
			return nil, nil, err
		}
		if indefinite {
			rest = body
		}
		if isPieces(first, shape) {
			inner, err = flatten(inner, at)
			if err != nil {
				return nil, nil, err
			}
		}
		shape = append(shape, first)
	}
	const pieces = 0x24 // an OCTET STRING in pieces
	if len(tag) == 1 && tag[0] == pieces {
		joined, err := join(inner)
		if err != nil {
			return nil, nil, err
		}
		return value(out, []byte{asn1.TagOctetString}, joined), rest, nil
	}
	return value(out, tag, inner), rest, nil
}

// isPieces reports whether a child with this first byte, after those before it, is
// the [0] IMPLICIT OCTET STRING of an EncryptedContentInfo (RFC 2315, 10.1) in
// pieces: SEQUENCE { OID, SEQUENCE, [0] }.
func isPieces(first byte, before []byte) bool {
	return first == 0xA0 && len(before) == 2 && before[0] == asn1.TagOID && before[1] == 0x30
}

// flatten rewrites the [0] at the end of b as one piece, where it is made of octet
// strings alone.
func flatten(b []byte, at int) ([]byte, error) {
	_, body, _, _, err := header(b[at:])
	if err != nil {
		return nil, err
	}
	joined, err := join(body)
	if err != nil { // something else, which stays as it is
		return b, nil
	}
	return value(b[:at:at], []byte{0x80}, joined), nil
}

// join puts octet strings in DER together.
func join(in []byte) ([]byte, error) {
	var out []byte
	for len(in) > 0 {
		tag, body, rest, _, err := header(in)
		if err != nil || len(tag) != 1 || tag[0] != asn1.TagOctetString {
			return nil, errBER
		}
		out, in = append(out, body...), rest
	}
	return out, nil
}

func value(out, tag, body []byte) []byte {
	out = append(out, tag...)
	if n := len(body); n < 0x80 {
		out = append(out, byte(n))
	} else {
		var length []byte
		for ; n > 0; n >>= 8 {
			length = append([]byte{byte(n)}, length...)
		}
		out = append(append(out, 0x80|byte(len(length))), length...)
	}
	return append(out, body...)
}

// header cuts the first value of in: its tag, and body and rest, or with an
// indefinite length the rest alone, where the body begins.
func header(in []byte) (tag, body, rest []byte, indefinite bool, err error) {
	fail := func() ([]byte, []byte, []byte, bool, error) { return nil, nil, nil, false, errBER }
	n := 1
	if len(in) > 0 && in[0]&0x1F == 0x1F { // a tag above 30
		for n < len(in) && in[n]&0x80 != 0 {
			n++
		}
		n++
	}
	if len(in) <= n {
		return fail()
	}
	tag, in = in[:n:n], in[n:]
	first := in[0]
	in = in[1:]
	switch {
	case first == 0x80:
		return tag, nil, in, true, nil
	case first < 0x80:
		if int(first) > len(in) {
			return fail()
		}
		return tag, in[:first:first], in[first:], false, nil
	}
	size := int(first & 0x7F)
	if size > 4 || size > len(in) {
		return fail()
	}
	var length uint64
	for _, b := range in[:size] {
		length = length<<8 | uint64(b)
	}
	in = in[size:]
	if length > math.MaxInt32 || int(length) > len(in) {
		return fail()
	}
	return tag, in[:length:length], in[length:], false, nil
}

// checkWork refuses a PKCS#12 file that asks for too many iterations of a
// passphrase's hash: in its structures a number that follows an octet string, the
// salt, is their count. outer is the first byte of what der stands in: octet
// strings hold structures in an explicit [0] alone. What is encrypted is not seen;
// the one who wrote that knows the passphrase.
func checkWork(der []byte, outer byte, depth int) error {
	const explicit = 0xA0
	before := byte(0)
	for in := der; len(in) > 0 && depth > 0; {
		tag, body, rest, indefinite, err := header(in)
		if err != nil || indefinite {
			return nil // not DER, hence nothing that is worked on
		}
		switch {
		case tag[0] == asn1.TagInteger && before == asn1.TagOctetString:
			var n int
			if _, err := asn1.Unmarshal(in[:len(in)-len(rest)], &n); err != nil || n > maxIterations {
				return fmt.Errorf("a file that asks for more than %d iterations of a passphrase's hash %w", maxIterations, ErrUnsupported)
			}
		case tag[0]&compound != 0, tag[0] == asn1.TagOctetString && outer == explicit:
			if err := checkWork(body, tag[0], depth-1); err != nil {
				return err
			}
		}
		before, in = tag[0], rest
	}
	return nil
}
