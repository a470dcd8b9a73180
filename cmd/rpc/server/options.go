package server

import (
	"crypto/tls"
	"log/slog"
	"time"
)

// Options say how a node serves.
type Options struct {
	// Auth tells who calls. It must be given; see Everybody.
	Auth Authorizer
	// TLS secures the connections. Nil: they are plain.
	TLS *tls.Config
	// Limits bound what callers can take.
	Limits Limits
	// Logger is told of every denied and every administrative call, and of panics.
	// Default: nothing is logged.
	Logger *slog.Logger
	// Observer is told of every call. Default: nobody is.
	Observer Observer
	// Version is what About says.
	Version string
	// RequestWindow is how long a request id protects a batch from being applied twice.
	// Default 1 h.
	RequestWindow time.Duration
	// Now is the clock; it is replaced in tests.
	Now func() time.Time
}

func (o Options) withDefaults() Options {
	o.Limits = o.Limits.withDefaults()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.RequestWindow <= 0 {
		o.RequestWindow = time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}
