package auth

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/wire"
)

// Authorizer knows callers by their tokens, or where they show none by their
// certificates. It may be used concurrently.
type Authorizer struct {
	tokens *Tokens          // nil: everybody may do everything
	now    func() time.Time // replaced in tests
}

// NewAuthorizer makes an authorizer. Without tokens everybody who gets through to the
// node may do everything: that is for a node which only this machine reaches, or only
// those who have a certificate.
func NewAuthorizer(tokens *Tokens) *Authorizer { return &Authorizer{tokens: tokens, now: time.Now} }

// Identify is part of server.Authorizer. A token that is wrong is refused though the
// certificate is right: who shows one means it.
func (a *Authorizer) Identify(ctx context.Context, md metadata.MD) (server.Principal, error) {
	commonName, verified := certificateOf(ctx)
	if a.tokens == nil {
		if verified {
			return anybody{"cert:" + commonName}, nil
		}
		return anybody{server.Anybody}, nil
	}
	switch headers := md.Get("authorization"); {
	case len(headers) > 1:
		return nil, fmt.Errorf("%w: several authorization headers", wire.ErrUnauthenticated)
	case len(headers) == 1:
		return known(a.tokens.ByToken(bearer(headers[0]), a.now()))
	case verified:
		return known(a.tokens.ByCertificate(commonName, a.now()))
	}
	return known(nil, ErrMissing)
}

func known(p *Principal, err error) (server.Principal, error) {
	if err != nil {
		return nil, fmt.Errorf("%w: %w", wire.ErrUnauthenticated, err)
	}
	return p, nil
}

// certificateOf gives the common name of the client certificate that TLS has verified.
func certificateOf(ctx context.Context) (name string, verified bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return "", false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 || len(info.State.VerifiedChains[0]) == 0 {
		return "", false
	}
	return info.State.VerifiedChains[0][0].Subject.CommonName, true
}

// bearer takes the token out of an authorization header, "" if it holds none.
func bearer(header string) string {
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// anybody is somebody whom no file names.
type anybody struct{ name string }

func (p anybody) Name() string                  { return p.name }
func (anybody) May(server.Verb, string) bool    { return true }
func (anybody) MayAll(server.Verb, string) bool { return true }
func (anybody) Patterns(server.Verb) []string   { return []string{"*"} }
func (anybody) Rates() server.Rates             { return server.Rates{} }
