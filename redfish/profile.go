package redfish

import "fmt"

// A Profile is a vendor's flavour of Redfish, as data. It serves both sides:
// a face that callers see, and a device behind it. The zero Profile is the
// generic one.
type Profile struct {
	Name string // "" means "generic"

	// RelativeLocation makes a face answer a login with a rooted Location.
	// The default is an absolute one, from the Host that the client typed.
	RelativeLocation bool

	// SessionLimit is how many sessions of ours such a device bears where
	// nobody said otherwise; 0 means 2.
	SessionLimit int

	// OpensSession says that a call with HTTP Basic makes a session at the
	// device, so that Basic is no free way to look at it.
	OpensSession bool

	// KeepsContext says that the device takes Session.Context at a login
	// although its root does not show a version that would.
	KeepsContext bool
}

// profiles is the whole list.
var profiles = []Profile{{Name: "generic"}}

// Generic is the profile of DMTF's documents.
func Generic() Profile { return profiles[0] }

// FindProfile returns the profile of that name; "" is the generic one.
func FindProfile(name string) (Profile, error) {
	if name == "" {
		return Generic(), nil
	}
	for _, p := range profiles {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("redfish: no profile %q", name)
}

// Profiles returns the names of all profiles.
func Profiles() []string {
	var names []string
	for _, p := range profiles {
		names = append(names, p.Name)
	}
	return names
}

// BasicOpensSession reports whether a call with HTTP Basic makes a session at
// the device.
func (p Profile) BasicOpensSession() bool { return p.OpensSession }

// Budget is how many sessions of ours such a device bears.
func (p Profile) Budget() int {
	if p.SessionLimit > 0 {
		return p.SessionLimit
	}
	return 2
}
