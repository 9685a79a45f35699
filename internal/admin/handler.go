package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/postern/postern/auth"
)

// maxBody bounds a request on the socket, in bytes: a CA file is the largest
// thing in one.
const maxBody = 4 << 20

// Handler offers api on the administration socket. Whoever can open the socket
// may do everything; who names the other end of a connection, for the audit.
func Handler(api API, who func(context.Context) auth.AccountName, log *slog.Logger) http.Handler {
	h := &handler{api: api, who: who, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /accounts", do(h, func(ctx context.Context, _ string, _ nothing) ([]Account, error) {
		return api.Accounts(ctx)
	}))
	mux.HandleFunc("POST /accounts", do(h, func(ctx context.Context, _ string, in accountIn) (nothing, error) {
		return nothing{}, api.CreateAccount(ctx, in.Name, in.Role, auth.NewSecret(in.Password))
	}))
	mux.HandleFunc("PATCH /accounts/{name}", do(h, func(ctx context.Context, name string, in accountPatch) (nothing, error) {
		return nothing{}, in.apply(ctx, api, auth.AccountName(name))
	}))
	mux.HandleFunc("DELETE /accounts/{name}", do(h, func(ctx context.Context, name string, _ nothing) (nothing, error) {
		return nothing{}, api.RemoveAccount(ctx, auth.AccountName(name))
	}))
	mux.HandleFunc("GET /targets", do(h, func(ctx context.Context, _ string, _ nothing) ([]Target, error) {
		return api.Targets(ctx)
	}))
	mux.HandleFunc("POST /targets", do(h, func(ctx context.Context, _ string, in targetIn) (Target, error) {
		return api.AddTarget(ctx, in.target())
	}))
	mux.HandleFunc("GET /targets/{name}", do(h, func(ctx context.Context, name string, _ nothing) (Target, error) {
		return api.Target(ctx, name)
	}))
	mux.HandleFunc("PATCH /targets/{name}", do(h, func(ctx context.Context, name string, in targetPatch) (nothing, error) {
		return nothing{}, in.apply(ctx, api, name)
	}))
	mux.HandleFunc("DELETE /targets/{name}", do(h, func(ctx context.Context, name string, _ nothing) (nothing, error) {
		return nothing{}, api.RemoveTarget(ctx, name)
	}))
	mux.HandleFunc("POST /targets/{name}/check", do(h, func(ctx context.Context, name string, _ nothing) (nothing, error) {
		return nothing{}, api.CheckTarget(ctx, name)
	}))
	return mux
}

type handler struct {
	api API
	who func(context.Context) auth.AccountName
	log *slog.Logger
}

// nothing is an empty body.
type nothing struct{}

// do makes an HTTP handler of a call that takes the name in the path and a body.
func do[In, Out any](h *handler, call func(ctx context.Context, name string, in In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := readBody(w, r, &in); err != nil {
			answer(w, Invalid.httpStatus(), fail(Invalid, "", "%v", err))
			return
		}
		ctx := auth.WithPrincipal(r.Context(), auth.Principal{Account: h.who(r.Context()), Role: auth.Administrator})
		out, err := call(ctx, r.PathValue("name"), in)
		if err != nil {
			err = fault(err)
			e, _ := errors.AsType[*Error](err)
			h.log.LogAttrs(ctx, slog.LevelInfo, "administration refused", slog.String("method", r.Method),
				slog.String("path", r.URL.Path), slog.String("error", e.Message))
			answer(w, e.Code.httpStatus(), e)
			return
		}
		answer(w, http.StatusOK, out)
	}
}

func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
