package node

import (
	"io"
	"log/slog"
)

// newLogger makes the node's log: one line an event, on w.
func newLogger(c *Config, w io.Writer) *slog.Logger {
	o := &slog.HandlerOptions{Level: level(c.LogLevel), ReplaceAttr: durationsAsText}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// durationsAsText writes 1.5ms in JSON too, where it would be a bare number.
func durationsAsText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}
