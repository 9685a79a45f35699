package redfish

import (
	"net/url"

	"github.com/postern/postern/auth"
)

// The URIs of a Redfish service that this package knows by name
// (DSP0266 1.20.0, 6.3 and 6.6).
const (
	versionsURI       = "/redfish"
	rootURI           = "/redfish/v1/"
	odataURI          = "/redfish/v1/odata"
	metadataURI       = "/redfish/v1/$metadata"
	openAPIURI        = "/redfish/v1/openapi.yaml"
	sessionServiceURI = "/redfish/v1/SessionService"
	sessionsURI       = "/redfish/v1/SessionService/Sessions"
	membersURI        = "/redfish/v1/SessionService/Sessions/Members"
	accountsURI       = "/redfish/v1/AccountService/Accounts"
	oldSessionsURI    = "/redfish/v1/Sessions" // observed: iDRAC 7 and 8
)

// The versions of what we serve: bundle 2025.4.
const (
	redfishVersion        = "1.20.0"
	serviceRootType       = "#ServiceRoot.v1_20_0.ServiceRoot"
	sessionServiceType    = "#SessionService.v1_2_0.SessionService"
	sessionCollectionType = "#SessionCollection.SessionCollection"
	sessionType           = "#Session.v1_8_0.Session"
	messageType           = "#Message.v1_1_1.Message" // understood by every client we know
)

// AccountURI returns the URI of an account.
func AccountURI(name auth.AccountName) string {
	return accountsURI + "/" + url.PathEscape(string(name))
}

// A Ref is a reference to another resource.
type Ref struct {
	ID string `json:"@odata.id"`
}

// ServiceRoot is the resource at /redfish/v1/, as far as this package serves it.
type ServiceRoot struct {
	ODataID        string           `json:"@odata.id"`
	ODataType      string           `json:"@odata.type"`
	ID             string           `json:"Id"`
	Name           string           `json:"Name"`
	RedfishVersion string           `json:"RedfishVersion"`
	Product        string           `json:"Product,omitempty"`
	SessionService Ref              `json:"SessionService"`
	Links          ServiceRootLinks `json:"Links"`
}

// ServiceRootLinks is ServiceRoot.Links.
type ServiceRootLinks struct {
	Sessions Ref `json:"Sessions"`
}

// SessionService describes the sessions of a service.
type SessionService struct {
	ODataID                       string `json:"@odata.id"`
	ODataType                     string `json:"@odata.type"`
	ID                            string `json:"Id"`
	Name                          string `json:"Name"`
	ServiceEnabled                bool   `json:"ServiceEnabled"`
	SessionTimeout                int64  `json:"SessionTimeout"`                   // idle, seconds
	AbsoluteSessionTimeout        int64  `json:"AbsoluteSessionTimeout,omitempty"` // seconds; absent where not enabled
	AbsoluteSessionTimeoutEnabled bool   `json:"AbsoluteSessionTimeoutEnabled"`
	Sessions                      Ref    `json:"Sessions"`
	Status                        Status `json:"Status"`
}

// Status is the state and health of a resource.
type Status struct {
	State  string `json:"State"`
	Health string `json:"Health"`
}

// SessionCollection lists sessions.
type SessionCollection struct {
	ODataID   string `json:"@odata.id"`
	ODataType string `json:"@odata.type"`
	Name      string `json:"Name"`
	Count     int    `json:"Members@odata.count"`
	Members   []Ref  `json:"Members"`
}

// Session is one session. Password is null in every answer, and Token, which
// in Redfish is a one-time code and not the session's token, is never written.
type Session struct {
	ODataID               string   `json:"@odata.id"`
	ODataType             string   `json:"@odata.type"`
	ID                    string   `json:"Id"`
	Name                  string   `json:"Name"`
	UserName              string   `json:"UserName"`
	Password              *string  `json:"Password"`
	SessionType           string   `json:"SessionType,omitempty"`
	ClientOriginIPAddress string   `json:"ClientOriginIPAddress,omitempty"`
	Context               string   `json:"Context,omitempty"`
	CreatedTime           string   `json:"CreatedTime,omitempty"`
	ExpirationTime        string   `json:"ExpirationTime,omitempty"`
	Roles                 []string `json:"Roles,omitempty"`

	// ExtendedInfo tells that the account must change its password; in the
	// answer to a login alone.
	ExtendedInfo []Message `json:"@Message.ExtendedInfo,omitempty"`
}

// loginBody is what a login POST carries. Context is left with the session
// (Session v1_5_0 and later).
type loginBody struct {
	UserName string `json:"UserName"`
	Password string `json:"Password"`
	Context  string `json:"Context,omitempty"`
	Token    string `json:"Token,omitempty"` // a one-time code
}

// Error is the body of every answer that refuses (DSP0266 1.20.0, 8.6).
type Error struct {
	Error ErrorBody `json:"error"`
}

// ErrorBody is Error.Error.
type ErrorBody struct {
	Code         string    `json:"code"`
	Message      string    `json:"message"`
	ExtendedInfo []Message `json:"@Message.ExtendedInfo"`
}

// Message is one entry of the extended information. Severity is deprecated
// since Message v1_1_0, but sushy reads nothing else: both are sent.
type Message struct {
	ODataType         string   `json:"@odata.type"`
	MessageID         string   `json:"MessageId"`
	Message           string   `json:"Message"`
	MessageArgs       []string `json:"MessageArgs"`
	RelatedProperties []string `json:"RelatedProperties,omitempty"`
	Severity          string   `json:"Severity"`
	MessageSeverity   string   `json:"MessageSeverity"`
	Resolution        string   `json:"Resolution"`
}
