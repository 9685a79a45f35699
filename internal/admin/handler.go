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
	accountRoutes(mux, h)
	roleRoutes(mux, h)
	listenerRoutes(mux, h)
	caRoutes(mux, h)
	targetRoutes(mux, h)
	serverRoutes(mux, h)
	return mux
}

type handler struct {
	api API
	who func(context.Context) auth.AccountName
	log *slog.Logger
}

// nothing is an empty body.
type nothing struct{}

// A place gives the words that stand in a path.
type place func(key string) string

func (at place) account() auth.AccountName { return auth.AccountName(at("name")) }

// do makes an HTTP handler of a call that takes words of the path and a body.
func do[In, Out any](h *handler, call func(ctx context.Context, at place, in In) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in In
		if err := readBody(w, r, &in); err != nil {
			answer(w, Invalid.httpStatus(), fail(Invalid, "", "%v", err))
			return
		}
		ctx := auth.WithPrincipal(r.Context(), auth.Principal{Account: h.who(r.Context()), Role: auth.Administrator})
		out, err := call(ctx, r.PathValue, in)
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
