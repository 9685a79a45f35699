package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// How HTTP Basic and the mapping of a client certificate are named in
// ListenerRules (AccountService.v1_15_0, HTTPBasicAuth;
// AccountService.v1_12_0, CertificateMappingAttribute).
const (
	BasicEnabled      = "Enabled"
	BasicUnadvertised = "Unadvertised" // taken, but not offered
	BasicDisabled     = "Disabled"

	MapWhole             = "Whole"             // the certificate is one of the account's own
	MapCommonName        = "CommonName"        // the subject's CN is the account's name
	MapUserPrincipalName = "UserPrincipalName" // so is the user of the otherName of that kind
)

// Bounds of the timeouts that somebody may set.
const (
	MinIdle     = 30 * time.Second // SessionService.v1_1_9, SessionTimeout: 30 to 86,400 s
	MaxIdle     = 24 * time.Hour
	MinLifetime = 30 * time.Second // as short as the shortest idle timeout
	MaxLifetime = 365 * 24 * time.Hour
)

// ListenerRules say who comes in at one listener, and for how long.
type ListenerRules struct {
	Listener string

	SessionsDisabled bool          // no new ones; the living go on
	Idle             time.Duration // a session ends when unused for this long
	Lifetime         time.Duration // and this long after its login; 0 = never

	Basic        string // BasicEnabled, BasicUnadvertised or BasicDisabled
	Certificates bool   // client certificates are asked for and judged
	Mapping      string // MapWhole, MapCommonName or MapUserPrincipalName
	Strict       bool   // no handshake without a good certificate

	Version int64 // 1 before anybody has set any, raised by every change
}

var (
	// ErrConflict: somebody else changed the rules in between; read them again.
	ErrConflict = errors.New("rules were changed by somebody else")
	// ErrBadRules: the rules leave their limits.
	ErrBadRules = errors.New("bad rules of a listener")
)

// DefaultRules are the rules of a listener for which nobody has set any.
func DefaultRules(listener string) ListenerRules {
	return ListenerRules{Listener: listener, Idle: DefaultIdle, Basic: BasicEnabled, Mapping: MapCommonName, Version: 1}
}

// Check returns ErrBadRules for rules that cannot be meant.
func (r ListenerRules) Check() error {
	switch {
	case r.Listener == "":
		return fmt.Errorf("%w: no listener is named", ErrBadRules)
	case r.Idle < MinIdle || r.Idle > MaxIdle:
		return fmt.Errorf("%w: a session may be unused for %v to %v", ErrBadRules, MinIdle, MaxIdle)
	case r.Lifetime != 0 && (r.Lifetime < MinLifetime || r.Lifetime > MaxLifetime):
		return fmt.Errorf("%w: a session lasts %v to %v, or without end", ErrBadRules, MinLifetime, MaxLifetime)
	case r.Basic != BasicEnabled && r.Basic != BasicUnadvertised && r.Basic != BasicDisabled:
		return fmt.Errorf("%w: Basic is %s, %s or %s", ErrBadRules, BasicEnabled, BasicUnadvertised, BasicDisabled)
	case r.Mapping != MapWhole && r.Mapping != MapCommonName && r.Mapping != MapUserPrincipalName:
		return fmt.Errorf("%w: the mapping is %s, %s or %s", ErrBadRules, MapWhole, MapCommonName, MapUserPrincipalName)
	case r.Strict && !r.Certificates:
		return fmt.Errorf("%w: only where certificates are judged can one be demanded", ErrBadRules)
	}
	return nil
}

// A RuleStore keeps the rules of listeners on stable storage. It is safe for
// concurrent use.
type RuleStore interface {
	// ListenerRules returns those that somebody has set, in the order of the names.
	ListenerRules(ctx context.Context) ([]ListenerRules, error)
	// SetListenerRules stores r where r.Version is the stored one, which is 1 where
	// none are stored, and returns r with the next: ErrConflict.
	SetListenerRules(ctx context.Context, r ListenerRules, at time.Time) (ListenerRules, error)
}
