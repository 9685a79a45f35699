package redfish

import (
	"errors"
	"net/http"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// properties are the names here of what an admin.Error names.
var properties = map[string]string{
	"name":              "UserName",
	"password":          "Password",
	"role":              "RoleId",
	"privileges":        "AssignedPrivileges",
	"pem":               "CertificateString",
	"chain":             "CertificateString",
	"key":               "CertificateString",
	"mapping":           "CertificateMappingAttribute",
	"min_password":      "MinPasswordLength",
	"max_password":      "MaxPasswordLength",
	"history":           "EnforcePasswordHistoryCount",
	"lockout_threshold": "AccountLockoutThreshold",
	"lockout_duration":  "AccountLockoutDuration",
	"lockout_reset":     "AccountLockoutCounterResetAfter",
}

// fault is the one place where an error of the desk becomes a Redfish error.
// uri is the resource that was read or changed.
func fault(err error, uri string) error {
	e, ok := errors.AsType[*admin.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case admin.Invalid:
		return invalid(e)
	case admin.NotFound:
		if e.Field == "role" { // an account's, which no URI names
			return related(problem(http.StatusBadRequest, "PropertyValueError", e, "RoleId"), "RoleId")
		}
		return &rf.Problem{Status: http.StatusNotFound, Key: "ResourceMissingAtURI", Args: []string{uri}, Err: e}
	case admin.Exists:
		return problem(http.StatusConflict, "ResourceInUse", e)
	case admin.Conflict:
		return conflict(e)
	case admin.Refused:
		return rf.Forbidden(sentence(e.Message), e)
	case admin.Unavailable:
		return rf.Refuse(http.StatusServiceUnavailable, "", 0, e)
	}
	return e
}

func invalid(e *admin.Error) error {
	name := properties[e.Field]
	switch {
	case e.Reason == admin.PasswordLength:
		return related(problem(http.StatusBadRequest, "PasswordIncorrectLength", e), "Password")
	case e.Reason == admin.PasswordReused:
		return related(problem(http.StatusBadRequest, "PasswordReuseTooRecent", e), "Password")
	case name != "":
		return related(problem(http.StatusBadRequest, "PropertyValueError", e, name), name)
	}
	return problem(http.StatusBadRequest, "GeneralError", e)
}

func conflict(e *admin.Error) error {
	switch e.Reason {
	case admin.Changed:
		return rf.ErrChanged
	case admin.LastAdministrator:
		return problem(http.StatusBadRequest, "RestrictedRole", e, string(auth.Administrator))
	case admin.LimitReached:
		return problem(http.StatusBadRequest, "CreateLimitReachedForResource", e)
	}
	return problem(http.StatusConflict, "ResourceInUse", e)
}

func problem(status int, key string, e *admin.Error, args ...string) *rf.Problem {
	return &rf.Problem{Status: status, Key: key, Args: args, Text: sentence(e.Message), Err: e}
}

func related(p *rf.Problem, property string) *rf.Problem {
	p.Related = []string{"#/" + property}
	return p
}

// sentence makes one of an error's text.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
