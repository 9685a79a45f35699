package admin

import (
	"context"
	"net/http"

	"github.com/postern/postern/auth"
)

func accountRoutes(mux *http.ServeMux, h *handler) {
	mux.HandleFunc("GET /accounts", do(h, func(ctx context.Context, _ place, _ nothing) ([]Account, error) {
		return h.api.Accounts(ctx)
	}))
	mux.HandleFunc("POST /accounts", do(h, func(ctx context.Context, _ place, in accountIn) (Account, error) {
		return h.api.CreateAccount(ctx, in.account())
	}))
	mux.HandleFunc("GET /accounts/{name}", do(h, func(ctx context.Context, at place, _ nothing) (Account, error) {
		return h.api.Account(ctx, at.account())
	}))
	mux.HandleFunc("PATCH /accounts/{name}", do(h, func(ctx context.Context, at place, in accountPatch) (Account, error) {
		return h.api.ChangeAccount(ctx, at.account(), in.change())
	}))
	mux.HandleFunc("DELETE /accounts/{name}", do(h, func(ctx context.Context, at place, in removal) (nothing, error) {
		return nothing{}, h.api.RemoveAccount(ctx, at.account(), in.Version)
	}))
	mux.HandleFunc("GET /accounts/{name}/certificates", do(h, func(ctx context.Context, at place, _ nothing) ([]Certificate, error) {
		return h.api.AccountCertificates(ctx, at.account())
	}))
	mux.HandleFunc("POST /accounts/{name}/certificates", do(h, func(ctx context.Context, at place, in pemIn) (Certificate, error) {
		return h.api.AddAccountCertificate(ctx, at.account(), in.PEM)
	}))
	mux.HandleFunc("DELETE /accounts/{name}/certificates/{id}", do(h, func(ctx context.Context, at place, _ nothing) (nothing, error) {
		return nothing{}, h.api.RemoveAccountCertificate(ctx, at.account(), at("id"))
	}))
	mux.HandleFunc("GET /login-rules", do(h, func(ctx context.Context, _ place, _ nothing) (LoginRules, error) {
		return h.api.LoginRules(ctx)
	}))
	mux.HandleFunc("PUT /login-rules", do(h, func(ctx context.Context, _ place, in LoginRules) (LoginRules, error) {
		return h.api.SetLoginRules(ctx, in)
	}))
}

func roleRoutes(mux *http.ServeMux, h *handler) {
	mux.HandleFunc("GET /roles", do(h, func(ctx context.Context, _ place, _ nothing) ([]Role, error) {
		return h.api.Roles(ctx)
	}))
	mux.HandleFunc("POST /roles", do(h, func(ctx context.Context, _ place, in Role) (Role, error) {
		return h.api.CreateRole(ctx, in)
	}))
	mux.HandleFunc("GET /roles/{name}", do(h, func(ctx context.Context, at place, _ nothing) (Role, error) {
		return h.api.Role(ctx, auth.Role(at("name")))
	}))
	mux.HandleFunc("PUT /roles/{name}", do(h, func(ctx context.Context, at place, in Role) (Role, error) {
		in.Name = auth.Role(at("name"))
		return h.api.ChangeRole(ctx, in)
	}))
	mux.HandleFunc("DELETE /roles/{name}", do(h, func(ctx context.Context, at place, _ nothing) (nothing, error) {
		return nothing{}, h.api.RemoveRole(ctx, auth.Role(at("name")))
	}))
}

func listenerRoutes(mux *http.ServeMux, h *handler) {
	mux.HandleFunc("GET /listeners", do(h, func(ctx context.Context, _ place, _ nothing) ([]ListenerRules, error) {
		return h.api.Listeners(ctx)
	}))
	mux.HandleFunc("GET /listeners/{name}", do(h, func(ctx context.Context, at place, _ nothing) (ListenerRules, error) {
		return h.api.ListenerRules(ctx, at("name"))
	}))
	mux.HandleFunc("PUT /listeners/{name}", do(h, func(ctx context.Context, at place, in ListenerRules) (ListenerRules, error) {
		in.Listener = at("name")
		return h.api.SetListenerRules(ctx, in)
	}))
	mux.HandleFunc("GET /listeners/{name}/cas", do(h, func(ctx context.Context, at place, _ nothing) ([]Certificate, error) {
		return h.api.CAs(ctx, at("name"))
	}))
	mux.HandleFunc("GET /listeners/{name}/certificate", do(h, func(ctx context.Context, at place, _ nothing) (Certificate, error) {
		return h.api.ServerCertificate(ctx, at("name"))
	}))
	mux.HandleFunc("PUT /listeners/{name}/certificate", do(h, func(ctx context.Context, at place, in pemIn) (Certificate, error) {
		return h.api.ReplaceServerCertificate(ctx, at("name"), in.PEM, auth.NewSecret(in.Key))
	}))
	mux.HandleFunc("DELETE /listeners/{name}/certificate", do(h, func(ctx context.Context, at place, _ nothing) (nothing, error) {
		return nothing{}, h.api.ResetServerCertificate(ctx, at("name"))
	}))
	mux.HandleFunc("POST /listeners/{name}/csr", do(h, func(ctx context.Context, at place, in CSRRequest) (csrOut, error) {
		csr, err := h.api.CertificateRequest(ctx, at("name"), in)
		return csrOut{csr}, err
	}))
}

func caRoutes(mux *http.ServeMux, h *handler) {
	mux.HandleFunc("GET /cas", do(h, func(ctx context.Context, _ place, _ nothing) ([]Certificate, error) {
		return h.api.AllCAs(ctx)
	}))
	mux.HandleFunc("POST /cas", do(h, func(ctx context.Context, _ place, in NewCA) (Certificate, error) {
		return h.api.AddCA(ctx, in)
	}))
	mux.HandleFunc("DELETE /cas/{id}", do(h, func(ctx context.Context, at place, in removal) (nothing, error) {
		return nothing{}, h.api.RemoveCA(ctx, in.Listener, at("id"))
	}))
	mux.HandleFunc("PUT /cas/{id}/crl", do(h, func(ctx context.Context, at place, in crlIn) (nothing, error) {
		return nothing{}, h.api.SetCRL(ctx, at("id"), in.CRL)
	}))
}

func targetRoutes(mux *http.ServeMux, h *handler) {
	mux.HandleFunc("GET /targets", do(h, func(ctx context.Context, _ place, _ nothing) ([]Target, error) {
		return h.api.Targets(ctx)
	}))
	mux.HandleFunc("POST /targets", do(h, func(ctx context.Context, _ place, in targetIn) (Target, error) {
		return h.api.AddTarget(ctx, in.target())
	}))
	mux.HandleFunc("GET /targets/{name}", do(h, func(ctx context.Context, at place, _ nothing) (Target, error) {
		return h.api.Target(ctx, at("name"))
	}))
	mux.HandleFunc("PATCH /targets/{name}", do(h, func(ctx context.Context, at place, in targetPatch) (nothing, error) {
		return nothing{}, in.apply(ctx, h.api, at("name"))
	}))
	mux.HandleFunc("DELETE /targets/{name}", do(h, func(ctx context.Context, at place, _ nothing) (nothing, error) {
		return nothing{}, h.api.RemoveTarget(ctx, at("name"))
	}))
	mux.HandleFunc("POST /targets/{name}/check", do(h, func(ctx context.Context, at place, _ nothing) (nothing, error) {
		return nothing{}, h.api.CheckTarget(ctx, at("name"))
	}))
}

func serverRoutes(mux *http.ServeMux, h *handler) {
	mux.HandleFunc("POST /explain", do(h, func(ctx context.Context, _ place, in ExplainRequest) (Explanation, error) {
		return h.api.Explain(ctx, in)
	}))
	mux.HandleFunc("POST /snapshot", do(h, func(ctx context.Context, _ place, _ nothing) (Snapshot, error) {
		return h.api.Snapshot(ctx)
	}))
}
