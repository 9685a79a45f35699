package auth

import (
	"fmt"
	"time"
)

// Method is how Postern proves itself to a device on each call.
type Method string

// The methods. Auto lets the family find out from the device.
const (
	MethodAuto    Method = "auto"
	MethodSession Method = "session"
	MethodBasic   Method = "basic"
	// MethodCertificate shows a certificate in the TLS handshake: at some devices
	// once, for a session, at others on each call.
	MethodCertificate Method = "certificate"
)

// PerCall reports whether a login by this method is nothing at the device: its
// credential goes with each call, and there is no session to end.
func (m Method) PerCall() bool { return m == MethodBasic || m == MethodCertificate }

// A Credential is what Postern logs in to a device with.
type Credential struct {
	Account  AccountName
	Password Secret
	// Passcode is the one-time code of a device that wants one besides the password.
	Passcode Secret
	// Certificate is for MethodCertificate; Account may be empty with it. Where the
	// certificate goes with each call, what opens the connections shows it.
	Certificate ClientCertificate
}

// LoginOptions go with one login at a device.
type LoginOptions struct {
	Method Method
	// Nonce is left with the session at the device where the device keeps such
	// a text, so that the session can be told from other people's.
	Nonce string
	// NoNonce is set once the device has refused a login because of the nonce.
	NoNonce bool
}

// A Login is what a device gave for a Credential: Postern's side of a lease.
type Login struct {
	Method     Method // MethodSession, MethodBasic, or MethodCertificate where that goes with each call
	Account    AccountName
	Secret     Secret        // session: the device's token; basic: the password; certificate: none
	Location   string        // session: the path of the session at the device, byte for byte
	ID         string        // session: the device's id, as far as the answer told it
	Idle       time.Duration // the device's idle timeout; 0 = not told
	DeviceDate time.Time     // the answer's Date; zero = none
	KeepsNonce bool          // the answer shows that the device keeps LoginOptions.Nonce
}

// Outcome says what a device may have made of a login.
type Outcome int

// The outcomes. Only Refused, and Unknown for a secret that was never
// accepted, count against the failed logins a device may see.
const (
	Accepted  Outcome = iota
	NotJudged         // never written, or answered in a way that says nothing of the secret
	Refused           // the device said no to the secret
	Unknown           // written, and no answer that could be understood
)

func (o Outcome) String() string {
	switch o {
	case Accepted:
		return "accepted"
	case NotJudged:
		return "not judged"
	case Refused:
		return "refused"
	}
	return "unknown"
}

// A LoginError is a login at a device that gave no Login.
type LoginError struct {
	Outcome Outcome // NotJudged, Refused or Unknown
	Sent    bool    // at least one byte of the request was written
	Full    bool    // the device has no session to give now
	// PasscodeSent: the password is right, and the device sent a one-time code to
	// its owner, which Credential.Passcode must hold. PasscodeExpired: it was too late.
	PasscodeSent, PasscodeExpired bool
	NonceFault                    bool          // refused because of LoginOptions.Nonce, not because of the secret
	Status                        int           // HTTP status; 0 = no answer
	RetryAfter                    time.Duration // what the device asked for; 0 = nothing
	Err                           error         // never holds a secret
}

func (e *LoginError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("device login %s (status %d): %v", e.Outcome, e.Status, e.Err)
	}
	return fmt.Sprintf("device login %s: %v", e.Outcome, e.Err)
}

func (e *LoginError) Unwrap() error { return e.Err }

// A Listed session is one that a device lists as living, ours or not.
type Listed struct {
	Location string
	ID       string
	Account  AccountName
	Context  string // the nonce, where it is ours and the device keeps it
	Source   string
	Created  time.Time
}

// A Verdict is what an answer of a device says about the login it was asked with.
type Verdict int

// The verdicts.
const (
	LoginGood         Verdict = iota // the answer is the caller's business
	LoginUnauthorized                // the device does not know this login, or says so
)
