package cli

import (
	"context"
	"io"
	"log/slog"
	"strings"

	"github.com/postern/postern/auth"
)

// newLogger makes the log of a long-running command.
func newLogger(w io.Writer, level, format string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil || strings.ContainsAny(level, "+-") {
		return nil, usage("debug, info, warn or error", "unknown log level %q", level)
	}
	opts := &slog.HandlerOptions{Level: l, ReplaceAttr: redact}
	switch format {
	case "text":
		return slog.New(requestHandler{slog.NewTextHandler(w, opts)}), nil
	case "json":
		return slog.New(requestHandler{slog.NewJSONHandler(w, opts)}), nil
	}
	return nil, usage("text or json", "unknown log format %q", format)
}

// secretKeys are names of attributes that never carry anything else. A secret
// is an auth.Secret and hides itself; this is for the one that was forgotten.
var secretKeys = map[string]bool{
	"password": true, "passcode": true, "secret": true, "token": true, "authorization": true, "cookie": true,
	"set-cookie": true, "x-auth-token": true, "x-api-session": true, "sessiontoken": true, "keymanagertoken": true,
}

func redact(_ []string, a slog.Attr) slog.Attr {
	if secretKeys[strings.ToLower(a.Key)] {
		return slog.String(a.Key, auth.Secret{}.String())
	}
	return a
}

// A requestHandler adds the id of the request that a line is about.
type requestHandler struct{ slog.Handler }

func (h requestHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := auth.RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h requestHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return requestHandler{h.Handler.WithAttrs(attrs)}
}

func (h requestHandler) WithGroup(name string) slog.Handler {
	return requestHandler{h.Handler.WithGroup(name)}
}
