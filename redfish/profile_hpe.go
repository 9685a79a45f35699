package redfish

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postern/postern/auth"
)

// certificatePage is where iLO logs somebody in with a client certificate.
const certificatePage = "/html/login_cert.html"

// oldHeaders are those of iLO firmware before 2.10.
var oldHeaders = [][2]string{{"Server", "HPE-iLO-Server/1.30"}, {"X_HP-CHRP-Service-Version", "1.0.3"}}

// loginHeaders are the headers of iLO's answer to a login, as far as they are not
// those of HTTP (the seed's sample; observed in no other answer of this code).
var loginHeaders = []string{
	"Cache-Control", "Connection", "Content-Length", "Content-Type", "Date", "ETag", "Link", "Location",
	"OData-Version", "Server", "X-Auth-Token", "X-Frame-Options", "X_HP-CHRP-Service-Version",
}

// iloGenerations are the registries and query parameters by generation. The Base
// registry of 5 and 6 is documented, that of 7 inferred from firmware of its
// time, as is the version of iLO's own registry, which changes with the firmware.
var iloGenerations = map[int]struct {
	base, oem string
	ignored   []string // parameters that are not known
}{
	5: {"Base.1.4.", "iLO.2.13.", []string{"$select", "$top", "$skip"}}, // SelectQuery false in 2.10
	6: {"Base.1.12.", "iLO.2.18.", []string{"$top", "$skip"}},
	7: {"Base.1.18.", "iLO.2.18.", []string{"$top", "$skip"}},
}

// ilo is the profile of HPE's iLO.
func ilo(name string, generation int) Profile {
	g := iloGenerations[generation]
	return Profile{
		Name: name, Generation: generation, Slash: SlashAsAsked, NonePort: true, SessionLimit: iloSessions, OpensSession: true,
		flavour: &flavour{
			envelope: envelope{
				base: g.base, oem: g.oem, code: "iLO.0.10.ExtendedInfo", text: "See @Message.ExtendedInfo for more information.",
				// observed: 400, where Redfish says 401 (hardware-observer-operator 47).
				renamed: map[string]renamed{
					keyResourceAtURIUnauthorized: {http.StatusBadRequest, keyUnauthorizedLogin},
				},
			},
			headers: [][2]string{
				{"Cache-Control", "no-cache"}, {"X-Frame-Options", "sameorigin"}, {"X-XSS-Protection", "1; mode=block"},
			},
			loginHeaders:    loginHeaders,
			contentType:     "application/json; charset=utf-8",
			schemaLink:      iloSchemaLink,
			tag:             func(sum []byte) string { return fmt.Sprintf(`W/"%X"`, sum[:4]) },
			sessionID:       iloSessionID,
			session:         iloSessionOf,
			collection:      iloSessionsOf,
			ended:           keySessionTerminated,
			foldsCase:       true,
			oldPaths:        []string{"/rest/v1"},
			certificatePage: certificatePage,
			changes:         true,
			misread:         []string{"OneTimePasscodeSent", "UnauthorizedLogin", "TokenExpired"},
			query: queryForm{lenient: true, ignored: g.ignored, features: protocolFeatures{
				ExpandQuery: expandFeatures{Levels: true, NoLinks: true, MaxLevels: 1},
				FilterQuery: true, OnlyMemberQuery: true, SelectQuery: generation > 5,
			}},
			denied: [][]string{
				{"managers", "*", "securityservice"},
				{"managers", "*", "federationgroups"},
			},
		},
	}
}

// iloSessions is how many sessions of ours an iLO bears: its limit is small, and
// HPE publishes no number.
const iloSessions = 2

// rmc is the profile of the Superdome Flex 280's RMC. HPE publishes one 401 and
// one session of it; the rest is inferred.
func rmc() Profile {
	return Profile{
		Name: "rmc", Slash: SlashNever, NonePort: true,
		flavour: &flavour{
			envelope: envelope{
				base: "Base.1.8.", oem: "iLO.2.18.", code: "Base.1.8." + keyGeneralError,
				text:        "A general error has occurred. See Resolution for information on how to resolve the error.",
				messageType: "#Message.v1_1_0.Message",
			},
			tag:       func(sum []byte) string { return `"` + hex.EncodeToString(sum[:16]) + `"` },
			sessionID: rmcSessionID,
			session:   rmcSessionOf,
			foldsCase: true,
		},
	}
}

func iloSchemaLink(schema string) string {
	name, _, _ := strings.Cut(schema, ".")
	return "</redfish/v1/SchemaStore/en/" + name + ".json/>; rel=describedby"
}

// iloSessionID is the name, the time and a random number without padding
// (redfish-hpe, 3.2: read from the samples; clients do not look into it).
func iloSessionID(name string, unix int64) string {
	var b [4]byte
	rand.Read(b[:])
	return name + fmt.Sprintf("%016x", unix) + strconv.FormatUint(uint64(binary.BigEndian.Uint32(b[:])), 16)
}

// rmcSessionID is the name and a UUID of version 4 without dashes.
func rmcSessionID(name string, _ int64) string {
	var b [16]byte
	rand.Read(b[:])
	b[6], b[8] = b[6]&0x0F|0x40, b[8]&0x3F|0x80
	return name + hex.EncodeToString(b[:])
}

// A sessionView is a session as somebody sees it.
type sessionView struct {
	auth.Session
	mine       bool
	privileges HPEPrivileges
}

// A collectionView is a list of sessions as somebody sees it.
type collectionView struct {
	members []Ref
	mine    string // URI of the session that asks; "" where it is none
}

// HPEPrivileges are those of an account of iLO (HpeiLOAccount.v2_2_0, Privileges).
type HPEPrivileges struct {
	HostBIOSConfigPriv       bool
	HostNICConfigPriv        bool
	HostStorageConfigPriv    bool
	LoginPriv                bool
	RemoteConsolePriv        bool
	SystemRecoveryConfigPriv bool
	UserConfigPriv           bool
	VirtualMediaPriv         bool
	VirtualPowerAndResetPriv bool
	ILOConfigPriv            bool `json:"iLOConfigPriv"`
}

// HPEPrivilegesOf maps DMTF's privileges to HPE's. SystemRecoveryConfigPriv comes
// with no role: it is granted by itself.
func HPEPrivilegesOf(p auth.Privileges) HPEPrivileges {
	c := p.Has(auth.ConfigureComponents)
	return HPEPrivileges{
		HostBIOSConfigPriv: c, HostNICConfigPriv: c, HostStorageConfigPriv: c,
		RemoteConsolePriv: c, VirtualMediaPriv: c, VirtualPowerAndResetPriv: c,
		LoginPriv: p.Has(auth.MayLogIn), UserConfigPriv: p.Has(auth.ConfigureUsers), ILOConfigPriv: p.Has(auth.ConfigureManager),
	}
}

// Privileges maps them to DMTF's: what any of HPE's for components gives is
// ConfigureComponents.
func (h HPEPrivileges) Privileges() auth.Privileges {
	var p auth.Privileges
	if h.LoginPriv {
		p |= auth.MayLogIn | auth.ConfigureSelf
	}
	if h.UserConfigPriv {
		p |= auth.ConfigureUsers
	}
	if h.ILOConfigPriv {
		p |= auth.ConfigureManager
	}
	if h.components() {
		p |= auth.ConfigureComponents
	}
	return p
}

func (h HPEPrivileges) components() bool {
	return h.HostBIOSConfigPriv || h.HostNICConfigPriv || h.HostStorageConfigPriv ||
		h.RemoteConsolePriv || h.VirtualMediaPriv || h.VirtualPowerAndResetPriv
}

// Role is the role that an account with these privileges shows.
func (h HPEPrivileges) Role() auth.Role {
	switch {
	case h.ILOConfigPriv, h.UserConfigPriv, h.SystemRecoveryConfigPriv:
		return auth.Administrator
	case h.components():
		return auth.Operator
	}
	return auth.ReadOnly
}

// An iloSession is Session.v1_0_0 with HpeiLOSession.v2_1_0.
type iloSession struct {
	Context     string `json:"@odata.context"`
	ETag        string `json:"@odata.etag,omitempty"`
	ODataID     string `json:"@odata.id"`
	ODataType   string `json:"@odata.type"`
	Description string
	ID          string `json:"Id"`
	Name        string
	Oem         hpe[iloSessionOem]
	UserName    string
}

type hpe[T any] struct{ Hpe T }

type iloSessionOem struct {
	Context    string `json:"@odata.context"`
	ODataType  string `json:"@odata.type"`
	AccessTime string
	LoginTime  string
	MySession  bool
	Privileges HPEPrivileges
	// UserExpires is AccessTime and the idle timeout: it slides.
	UserExpires string
	UserIP      string
	UserTag     string
	UserType    string
}

// iloSessionOf is the session resource of iLO (HPE, "Redfish authentication and
// sessions").
func iloSessionOf(v sessionView) (body any, tag string) {
	s := iloSession{
		Context: "/redfish/v1/$metadata#Session.Session", ODataID: sessionsURI + "/" + v.ID, ODataType: "#Session.v1_0_0.Session",
		Description: "Manager User Session", ID: v.ID, Name: "User Session", UserName: string(v.Principal.Account),
	}
	o := &s.Oem.Hpe
	o.Context, o.ODataType = "/redfish/v1/$metadata#HpeiLOSession.HpeiLOSession", "#HpeiLOSession.v2_1_0.HpeiLOSession"
	o.LoginTime, o.Privileges = inUTC(v.Created), v.privileges
	o.UserTag, o.UserType = "REST", "Local"
	if v.Kind == auth.Certificate {
		o.UserTag = "Web UI"
	}
	if v.Directory {
		o.UserType = "Directory"
	}
	if v.Source.IsValid() {
		o.UserIP = v.Source.Unmap().WithZone("").String()
	}
	tag = etag(encode(s)) // what follows depends on who looks, and when
	o.MySession = v.mine
	used := v.LastUsed
	if used.Before(v.Created) {
		used = v.Created
	}
	ends := used.Add(v.Idle)
	if !v.Expires.IsZero() && v.Expires.Before(ends) {
		ends = v.Expires
	}
	o.AccessTime, o.UserExpires, s.ETag = inUTC(used), inUTC(ends), tag
	return s, tag
}

func inUTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// iloSessionsOf is the collection of iLO's sessions.
func iloSessionsOf(v collectionView) any {
	type links struct{ MySession Ref }
	type oem struct {
		Context   string `json:"@odata.context"`
		ODataType string `json:"@odata.type"`
		Links     *links `json:",omitempty"`
	}
	c := struct {
		Context     string `json:"@odata.context"`
		ODataID     string `json:"@odata.id"`
		ODataType   string `json:"@odata.type"`
		Description string
		Name        string
		Oem         hpe[oem]
		Members     []Ref
		Count       int `json:"Members@odata.count"`
	}{
		Context: "/redfish/v1/$metadata#SessionCollection.SessionCollection", ODataID: sessionsURI, ODataType: sessionCollectionType,
		Description: "Manager User Sessions", Name: "Sessions", Members: v.members, Count: len(v.members),
	}
	c.Oem.Hpe = oem{
		Context:   "/redfish/v1/$metadata#HpeiLOSessionsSummary.HpeiLOSessionsSummary",
		ODataType: "#HpeiLOSessionsSummary.v2_0_0.HpeiLOSessionsSummary",
	}
	if v.mine != "" {
		c.Oem.Hpe.Links = &links{MySession: Ref{v.mine}}
	}
	return c
}

// rmcSessionOf is the session resource of the RMC.
func rmcSessionOf(v sessionView) (body any, tag string) {
	type oem struct {
		ODataType   string `json:"@odata.type"`
		InitialRole auth.Role
	}
	s := struct {
		ETag      string `json:"@odata.etag,omitempty"`
		ODataID   string `json:"@odata.id"`
		ODataType string `json:"@odata.type"`
		ID        string `json:"Id"`
		Name      string
		Oem       hpe[oem]
		UserName  string
	}{
		ODataID: sessionsURI + "/" + v.ID, ODataType: "#Session.v1_2_1.Session", ID: v.ID, Name: "User Session " + v.ID,
		Oem: hpe[oem]{oem{"#HpeSession.v1_0_0.HpeSession", v.InitialRole}}, UserName: string(v.Principal.Account),
	}
	if s.Oem.Hpe.InitialRole == "" {
		s.Oem.Hpe.InitialRole = v.Principal.Role
	}
	tag = etag(encode(s))
	s.ETag = tag
	return s, tag
}
