package redfish_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/postern/postern/auth"
	"github.com/postern/postern/redfish"
)

// A server that asks who somebody is before it shows its resources.
func ExampleHandler() {
	resources := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := auth.PrincipalFrom(r.Context())
		fmt.Fprintf(w, "%s reads %s", p.Account, r.URL.Path)
	})
	h, err := redfish.New(redfish.Config{Authority: newMemory(), Listener: "bmc1", Next: resources})
	if err != nil {
		log.Fatal(err)
	}

	r := httptest.NewRequest("GET", "/redfish/v1/Systems", nil)
	r.TLS = &tls.ConnectionState{} // as a TLS server sets it
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	//lint:ignore SA1008 this letter case goes out
	fmt.Println(w.Code, w.Result().Header["WWW-Authenticate"])

	r.SetBasicAuth("reader", password)
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output:
	// 401 [Basic realm="Postern"]
	// 200 reader reads /redfish/v1/Systems
}

// Log in to a device, use the login, log out.
// A resource server behind the logins: it decides by privilege, answers with
// tagged resources, and leaves the query parameters to Query.
func ExampleQuery() {
	roles := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := auth.PrincipalFrom(r.Context())
		if !redfish.Privileged("Role", r.Method, caller, false) {
			redfish.WriteError(w, r, auth.ErrForbidden)
			return
		}
		body, tag := redfish.Tagged(redfish.Encode(map[string]string{
			"@odata.id": r.URL.Path, "@odata.type": "#Role.v1_3_3.Role", "Id": "Operator", "Name": "Operator Role",
		}))
		redfish.ServeResource(w, r, "GET, HEAD", body, tag)
	})
	h := redfish.Query(roles)

	r := httptest.NewRequest("GET", "/redfish/v1/AccountService/Roles/Operator?$select=Id", nil)
	r = r.WithContext(auth.WithPrincipal(r.Context(), auth.Principal{Account: "joe", Role: auth.ReadOnly, Privileges: auth.MayLogIn}))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 {"@odata.id":"/redfish/v1/AccountService/Roles/Operator","@odata.type":"#Role.v1_3_3.Role","Id":"Operator","@odata.etag":"\"247ef56026c5b47d\""}
}

func ExampleDevice() {
	bmc := httptest.NewTLSServer(mustHandler())
	defer bmc.Close()
	transport := bmc.Client().Transport.(*http.Transport) // trusts the device's certificate
	fresh := transport.Clone()
	fresh.DisableKeepAlives = true

	d, err := redfish.NewDevice(redfish.DeviceConfig{URL: bmc.URL, Base: transport, Fresh: fresh})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	login, err := d.Login(ctx, auth.Credential{Account: "oper", Password: auth.NewSecret(password)}, auth.LoginOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Logout(ctx, login)

	r, err := http.NewRequest("GET", bmc.URL+"/redfish/v1/Systems", nil)
	if err != nil {
		log.Fatal(err)
	}
	d.Attach(r, login)
	resp, err := transport.RoundTrip(r)
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(login.Method, login.Location, resp.StatusCode, d.Judge(resp.StatusCode, resp.Header) == auth.LoginGood)
	// Output:
	// session /redfish/v1/SessionService/Sessions/s1 200 true
}

func ExampleProfile_Classify() {
	p := redfish.Generic()
	for _, line := range []string{
		"GET /redfish/v1/",
		"GET /redfish/v1/Systems/1/",
		"POST /redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
		"DELETE /redfish/v1/SessionService/Sessions/7",
		"PATCH /redfish/v1/AccountService/Accounts/1",
		"GET /redfish/v1/Systems/../AccountService",
	} {
		method, path, _ := strings.Cut(line, " ")
		c := p.Classify(method, path, "")
		fmt.Println(c.Kind == redfish.KindRead || c.Kind == redfish.KindEffect, c.Path)
	}
	// Output:
	// false /redfish/v1/
	// true /redfish/v1/Systems/1
	// true /redfish/v1/Systems/1/Actions/ComputerSystem.Reset
	// false /redfish/v1/SessionService/Sessions/7
	// false /redfish/v1/AccountService/Accounts/1
	// false
}

func mustHandler() http.Handler {
	h, err := redfish.New(redfish.Config{Authority: newMemory(), Next: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	if err != nil {
		log.Fatal(err)
	}
	return h
}
