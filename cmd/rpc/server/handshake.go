package server

import (
	"errors"
	"io"
	"log/slog"
	"net"

	"google.golang.org/grpc/credentials"
)

// loggedHandshakes are TLS connections of which a failed handshake is logged: nobody
// else tells the operator that a certificate was refused, since no call has begun.
type loggedHandshakes struct {
	credentials.TransportCredentials
	log *slog.Logger
}

// ServerHandshake shakes hands, and says who failed to.
func (h *loggedHandshakes) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := h.TransportCredentials.ServerHandshake(c)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF): // a probe of the port, which says nothing
		h.log.Debug("TLS handshake failed", "remote", c.RemoteAddr().String(), "error", err)
	default:
		h.log.Warn("TLS handshake failed", "remote", c.RemoteAddr().String(), "error", err)
	}
	return secured, info, err
}

// Clone makes another one that logs to the same place.
func (h *loggedHandshakes) Clone() credentials.TransportCredentials {
	return &loggedHandshakes{h.TransportCredentials.Clone(), h.log}
}
