package redfish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postern/postern/auth"
)

// An OwnSession is what a device tells of the session of a login, whatever its
// flavour.
type OwnSession struct {
	ID       string
	Location string // what Logout deletes
	Account  auth.AccountName
	// Role is the one that the session tells, on an RMC the one at the login; ""
	// where it tells none.
	Role auth.Role
	// Privileges are HPE's, by name; nil where the device tells none.
	Privileges map[string]bool
	Created    time.Time // zero: not told
	Expires    time.Time // unless it is used before; zero: not told
}

// Own reads the session of a login: auth.ErrNoSession where the device does not
// know it. A login without a location is looked for in the list of sessions, which
// names one's own on an iLO.
func (d *Device) Own(ctx context.Context, l auth.Login) (OwnSession, error) {
	if l.Method == auth.MethodBasic {
		return OwnSession{}, errors.New("redfish: a login by HTTP Basic has no session")
	}
	if l.Location == "" {
		root, err := d.discover(ctx)
		if err != nil {
			return OwnSession{}, err
		}
		if l.Location, err = d.mySession(ctx, l, root.collections()[0]); err != nil {
			return OwnSession{}, err
		}
	}
	o, there, err := d.read(ctx, l, l.Location)
	if err != nil {
		return OwnSession{}, err
	}
	if !there {
		return OwnSession{}, fmt.Errorf("redfish: read own session: %w", auth.ErrNoSession)
	}
	return ownSession(o, l.Location), nil
}

func ownSession(o object, location string) OwnSession {
	oem := hpeOem(o)
	s := OwnSession{
		ID: o.text("Id"), Location: location, Account: auth.AccountName(o.text("UserName")),
		Role: auth.Role(oem.text("InitialRole")), Created: o.time("CreatedTime"), Expires: o.time("ExpirationTime"),
	}
	if s.ID == "" {
		s.ID = lastSegment(location)
	}
	for _, m := range oem.sub("Privileges").members {
		if s.Privileges == nil {
			s.Privileges = make(map[string]bool)
		}
		s.Privileges[m.name] = string(m.value) == "true"
	}
	if t := oem.time("LoginTime"); s.Created.IsZero() {
		s.Created = t
	}
	if t := oem.time("UserExpires"); s.Expires.IsZero() {
		s.Expires = t
	}
	return s
}

// time returns a member that is a point in time, zero for whatever else.
func (o object) time(name string) time.Time {
	t, err := time.Parse(time.RFC3339, o.text(name))
	if err != nil {
		return time.Time{}
	}
	return t
}

var errNotNamed = errors.New("redfish: the device does not say which session is ours")

// mySession returns where the session of a login is, as the collection tells it
// (iLO: Oem.Hpe.Links.MySession).
func (d *Device) mySession(ctx context.Context, l auth.Login, collection string) (string, error) {
	o, there, err := d.read(ctx, l, collection)
	if err != nil {
		return "", err
	}
	if !there {
		return "", errNotNamed
	}
	path := resolve(hpeOem(o).sub("Links").sub("MySession").text("@odata.id"))
	if !sessionPath(path) {
		return "", errNotNamed
	}
	return path, nil
}
