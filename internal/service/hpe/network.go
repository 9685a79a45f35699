package hpe

import (
	"net"
	"net/http"
	"strings"
)

const (
	networkProtocolType = "#ManagerNetworkProtocol.v1_0_0.ManagerNetworkProtocol"
	oemNetworkType      = "#HpeiLOManagerNetworkService.v2_4_0.HpeiLOManagerNetworkService"
)

// maxMail bounds a mail domain and a server's name, in bytes.
const maxMail = 253

func (s *Service) networkProtocol(c *call) (any, error) {
	set, err := s.settings(c)
	if err != nil {
		return nil, err
	}
	name := s.hostName(set)
	protocol := func(on bool, port int) object { return object{"Port": port, "ProtocolEnabled": on} }
	return resource(networkProtocolURI+"/", networkProtocolType, "NetworkProtocol", "Manager Network Protocol", object{
		"Description": "Manager Network Service", "FQDN": name, "HostName": name,
		"HTTP": protocol(false, 80), "HTTPS": protocol(true, 443), "SSH": protocol(false, 22), "IPMI": protocol(false, 623),
		"KVMIP": protocol(false, 17990), "VirtualMedia": protocol(false, 17988), "SNMP": protocol(false, 161),
		"Status": object{"Health": "OK", "State": "Enabled"},
		"Oem": oem(oemNetworkType, object{
			"AlertMailSenderDomain": set.AlertSender, "AlertMailSMTPServer": set.AlertServer, "AlertMailSMTPPort": set.AlertPort,
			"SMTPForTFAEnabled": set.PasscodeMail,
		}),
	}), nil
}

func (s *Service) patchNetworkProtocol(c *call) error {
	if err := c.match(); err != nil {
		return err
	}
	b, err := c.body()
	if err != nil {
		return err
	}
	name := b.String("HostName")
	if name != nil && (*name == "" || len(*name) > maxMail) {
		b.Fail("PropertyValueError", "HostName", "HostName")
	}
	var domain, server *string
	var port *int64
	var mail *bool
	if o := b.Object("Oem"); o != nil {
		if h := o.Object("Hpe"); h != nil {
			domain, server = h.String("AlertMailSenderDomain"), h.String("AlertMailSMTPServer")
			port, mail = h.Int("AlertMailSMTPPort", 1, 65535), h.Bool("SMTPForTFAEnabled")
			for n, v := range map[string]*string{"AlertMailSenderDomain": domain, "AlertMailSMTPServer": server} {
				if v != nil && len(*v) > maxMail {
					h.Fail("PropertyValueError", n, n)
				}
			}
		}
	}
	b.ReadOnly("Id", "Name", "Description", "FQDN", "HTTP", "HTTPS", "SSH", "IPMI", "KVMIP", "VirtualMedia", "SNMP", "Status")
	if err := b.Err(); err != nil {
		return err
	}
	_, err = s.change(c, func(set *Settings) error {
		replace(&set.HostName, name)
		replace(&set.AlertSender, domain)
		replace(&set.AlertServer, server)
		if port != nil {
			set.AlertPort = int(*port)
		}
		replace(&set.PasscodeMail, mail)
		if !set.PasscodeMail { // a passcode could not be sent (HPE, "Two-factor authentication")
			set.TwoFactor = false
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.done("Success")
}

// ownNames are what the server's certificate is to be made out for besides its
// name: the address that the request came to.
func ownNames(r *http.Request, name string) []string {
	names := []string{}
	if host := strings.TrimSpace(name); host != "" {
		names = append(names, host)
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		names = append(names, local.IP.String())
	}
	return names
}
