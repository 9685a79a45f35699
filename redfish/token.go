package redfish

import (
	"crypto/rand"
	"encoding/hex"
	"math"
	"math/bits"

	"github.com/postern/postern/auth"
)

// tokenBytes gives 32 hexadecimal digits: the form that curl recipes rely on,
// which sort a token before "https".
const tokenBytes = 16

// newToken draws a session token of 32 lower-case hexadecimal digits. It draws
// again until the two randomness tests of DMTF's protocol validator pass,
// which about one good token in fifty fails; that costs 0.03 bit.
func newToken() auth.Secret {
	for {
		var b [tokenBytes]byte
		rand.Read(b[:])
		if looksRandom(b[:]) {
			return auth.NewSecret(hex.EncodeToString(b[:]))
		}
	}
}

// looksRandom runs the frequency and the runs test of NIST SP 800-22 (2.1 and
// 2.3) with the validator's level of 0.01.
func looksRandom(b []byte) bool {
	frequency, runs := nist(b)
	return frequency >= 0.01 && runs >= 0.01
}

// nist returns the p values of the two tests.
func nist(b []byte) (frequency, runs float64) {
	ones, changes := 0, 0
	for i, c := range b {
		ones += bits.OnesCount8(c)
		// Within the byte, each bit against its neighbour; then the seam.
		changes += bits.OnesCount8((c ^ c>>1) & 0x7F)
		if i > 0 && b[i-1]&1 != c>>7 {
			changes++
		}
	}
	n := float64(8 * len(b))
	frequency = math.Erfc(math.Abs(2*float64(ones)-n) / math.Sqrt(n) / math.Sqrt2)
	pi := float64(ones) / n
	if math.Abs(pi-0.5) >= 2/math.Sqrt(n) {
		return frequency, 0
	}
	v := float64(changes + 1)
	runs = math.Erfc(math.Abs(v-2*n*pi*(1-pi)) / (2 * math.Sqrt(2*n) * pi * (1 - pi)))
	return frequency, runs
}

// maxToken bounds what is looked up: ours have 32 bytes, other tables may
// have longer ones.
const maxToken = 512

// tokenShaped reports whether s can be a token at all: visible ASCII.
func tokenShaped(s string) bool {
	if s == "" || len(s) > maxToken {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] >= 0x7F {
			return false
		}
	}
	return true
}
