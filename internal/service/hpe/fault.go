package hpe

import (
	"encoding/pem"
	"errors"
	"net/http"
	"strconv"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/internal/admin"
	rf "github.com/postern/postern/redfish"
)

// fault is the one place where an error of the desk or the office becomes an
// answer. uri is the resource that was read or changed.
func fault(err error, uri string) error {
	e, ok := errors.AsType[*admin.Error](err)
	if !ok {
		return err
	}
	switch e.Code {
	case admin.Invalid:
		if e.Reason == admin.PasswordReused {
			return with(bad("PasswordReuseTooRecent"), e)
		}
		return with(bad("PropertyValueError", e.Field), e)
	case admin.NotFound:
		return with(rf.NotFound(uri), e)
	case admin.Conflict:
		switch e.Reason {
		case admin.Changed:
			return rf.ErrChanged
		case admin.LimitReached:
			return with(bad("CreateLimitReachedForResource"), e)
		case admin.LastAdministrator:
			return with(bad("RestrictedRole", string(auth.Administrator)), e)
		}
		return with(refuse(http.StatusConflict, "ResourceInUse"), e)
	case admin.Exists:
		return with(refuse(http.StatusConflict, "ResourceInUse"), e)
	case admin.Refused:
		return rf.Forbidden("", e)
	case admin.Unavailable:
		return rf.Refuse(http.StatusServiceUnavailable, "", 0, e)
	}
	return e
}

func with(p *rf.Problem, err error) *rf.Problem {
	p.Err = err
	return p
}

// importFault is fault for a certificate or list that was sent.
func importFault(err error, uri string) error {
	e, ok := errors.AsType[*admin.Error](err)
	if ok && (e.Code == admin.Invalid || e.Code == admin.Exists) {
		return with(bad(own+"ImportCertificateFailed"), e)
	}
	return fault(err, uri)
}

// csrParameters are the names here of what an error about a request names.
var csrParameters = map[string]string{
	"common_name": "CommonName", "organization": "OrgName", "organizational_unit": "OrgUnit",
	"city": "City", "state": "State", "country": "Country", "names": "IncludeIP",
}

func csrFault(err error, uri string) error {
	e, ok := errors.AsType[*admin.Error](err)
	if ok && e.Code == admin.Invalid && csrParameters[e.Field] != "" {
		return with(bad("ActionParameterValueError", csrParameters[e.Field], "HpeHttpsCert.GenerateCSR"), e)
	}
	return fault(err, uri)
}

// accountFault is fault for an account that was sent.
func (s *Service) accountFault(c *call, err error) error {
	e, ok := errors.AsType[*admin.Error](err)
	switch {
	case !ok:
	case e.Code == admin.Exists:
		return with(bad(own+"UserAlreadyExist"), e)
	case e.Reason == admin.PasswordLength:
		rules, err := s.cfg.Desk.LoginRules(c.r.Context())
		if err != nil {
			return fault(err, c.path)
		}
		return with(passwordLength(rules.MinPassword), e)
	case e.Code == admin.Invalid && e.Field == "name":
		return with(bad("PropertyValueError", "UserName"), e)
	}
	return fault(err, c.path)
}

func passwordLength(least int) *rf.Problem {
	return bad(own+"InvalidPasswordLength", strconv.Itoa(least), strconv.Itoa(maxName))
}

// derOf is the DER of the first certificate in a PEM text.
func derOf(text string) ([]byte, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("no PEM")
	}
	return block.Bytes, nil
}
