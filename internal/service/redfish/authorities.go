package redfish

import (
	"github.com/postern/postern/internal/admin"
)

// authorities lists the CAs whose certificates are let in at the listener.
func (s *Service) authorities(c *call) error {
	all, err := s.cfg.Desk.CAs(c.r.Context(), s.cfg.Listener)
	if err != nil {
		return fault(err, c.path)
	}
	return c.show(newCertificates(casURI, "Trusted Authorities", all))
}

func (s *Service) ca(c *call) error {
	all, err := s.cfg.Desk.CAs(c.r.Context(), s.cfg.Listener)
	if err != nil {
		return fault(err, c.path)
	}
	return c.showOne(casURI, "", c.id[0], all)
}

func (s *Service) addCA(c *call) error {
	text, err := c.readCertificate()
	if err != nil {
		return err
	}
	added, err := s.cfg.Desk.AddCA(c.r.Context(), admin.NewCA{Listener: s.cfg.Listener, PEM: text})
	if err != nil {
		return certificateFault(err, c.path)
	}
	return c.created(casURI+"/"+added.ID, newCertificate(casURI, "", added))
}

func (s *Service) removeCA(c *call) error {
	all, err := s.cfg.Desk.CAs(c.r.Context(), s.cfg.Listener)
	if err != nil {
		return fault(err, c.path)
	}
	if err := c.matchOne(casURI, "", c.id[0], all); err != nil {
		return err
	}
	if err := s.cfg.Desk.RemoveCA(c.r.Context(), s.cfg.Listener, c.id[0]); err != nil {
		return fault(err, c.path)
	}
	return c.done()
}

// accountCertificates lists the certificates that are an account's own.
func (s *Service) accountCertificates(c *call) error {
	all, err := s.cfg.Desk.AccountCertificates(c.r.Context(), c.name())
	if err != nil {
		return fault(err, c.path)
	}
	return c.show(newCertificates(c.path, "Account Certificates", all))
}

func (s *Service) accountCertificate(c *call) error {
	all, err := s.cfg.Desk.AccountCertificates(c.r.Context(), c.name())
	if err != nil {
		return fault(err, c.path)
	}
	return c.showOne(c.parent(), usageUser, c.id[1], all)
}

func (s *Service) addAccountCertificate(c *call) error {
	text, err := c.readCertificate()
	if err != nil {
		return err
	}
	added, err := s.cfg.Desk.AddAccountCertificate(c.r.Context(), c.name(), text)
	if err != nil {
		return certificateFault(err, c.path)
	}
	return c.created(c.path+"/"+added.ID, newCertificate(c.path, usageUser, added))
}

func (s *Service) removeAccountCertificate(c *call) error {
	all, err := s.cfg.Desk.AccountCertificates(c.r.Context(), c.name())
	if err != nil {
		return fault(err, c.path)
	}
	if err := c.matchOne(c.parent(), usageUser, c.id[1], all); err != nil {
		return err
	}
	if err := s.cfg.Desk.RemoveAccountCertificate(c.r.Context(), c.name(), c.id[1]); err != nil {
		return fault(err, c.path)
	}
	return c.done()
}
