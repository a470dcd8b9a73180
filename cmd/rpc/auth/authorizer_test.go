package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/cmd/rpc/wire"
)

var _ server.Authorizer = (*Authorizer)(nil)

// from is the context of a call on a connection with a client certificate, which TLS
// has verified or only received.
func from(commonName string, verified bool) context.Context {
	cert := &x509.Certificate{Subject: pkix.Name{CommonName: commonName}}
	state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}}
	if verified {
		state.VerifiedChains = [][]*x509.Certificate{{cert}}
	}
	return peer.NewContext(context.Background(), &peer.Peer{AuthInfo: credentials.TLSInfo{State: state}})
}

func TestACallerIsKnownByTokenOrCertificate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	token, line := issue(t, "ci", "read=main rate=5 bytes=100")
	old, oldLine := issue(t, "old", "read=main expires=2020-01-01")
	put(t, path, line+oldLine+"edge cert:edge-1 admin\n")
	tokens, err := Load(path)
	require.NoError(t, err)
	a := NewAuthorizer(tokens)
	plain := context.Background()

	for _, c := range []struct {
		name    string
		ctx     context.Context
		headers []string
		caller  string // "" if it is refused
		text    string
	}{
		{"a token", plain, []string{"Bearer " + token}, "ci", ""},
		{"a token, spelled small", plain, []string{"bearer  " + token + " "}, "ci", ""},
		{"a token without its scheme", plain, []string{token}, "", "unknown token"},
		{"a token of another scheme", plain, []string{"Basic " + token}, "", "unknown token"},
		{"two tokens", plain, []string{"Bearer " + token, "Bearer " + token}, "", "several"},
		{"an old token", plain, []string{"Bearer " + old}, "", "expired"},
		{"nothing", plain, nil, "", "no credentials"},
		{"a certificate", from("edge-1", true), nil, "edge", ""},
		{"a certificate that was not verified", from("edge-1", false), nil, "", "no credentials"},
		{"a certificate that the file does not name", from("edge-2", true), nil, "", "no credentials"},
		{"a certificate and a token", from("edge-1", true), []string{"Bearer " + token}, "ci", ""},
		{"a certificate and a wrong token", from("edge-1", true), []string{"Bearer " + token + "x"}, "", "unknown token"},
		{"a certificate and an empty header", from("edge-1", true), []string{""}, "", "unknown token"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := a.Identify(c.ctx, metadata.MD{"authorization": c.headers})
			if c.caller == "" {
				require.ErrorIs(t, err, wire.ErrUnauthenticated)
				require.ErrorContains(t, err, c.text)
				require.Nil(t, p)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.caller, p.Name())
		})
	}

	ci, err := a.Identify(plain, metadata.Pairs("authorization", "Bearer "+token))
	require.NoError(t, err)
	require.Equal(t, server.Rates{Calls: 5, Bytes: 100}, ci.Rates())
	require.False(t, ci.May(server.VerbAdmin, ""))
	require.False(t, ci.MayAll(server.VerbAdmin, ""))
	require.False(t, ci.May(server.VerbRead, "@main"), "a snapshot of that name is another thing")
	edge, err := a.Identify(from("edge-1", true), nil)
	require.NoError(t, err)
	require.True(t, edge.May(server.VerbAdmin, ""))
	require.False(t, edge.May(server.VerbRead, "main"))
	require.False(t, edge.May(server.VerbAdmin+1, ""), "a verb that nobody knows is denied")

	a.now = func() time.Time { return time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC) }
	_, err = a.Identify(plain, metadata.Pairs("authorization", "Bearer "+old))
	require.NoError(t, err)
}

func TestWithoutAFileEverybodyMayDoEverything(t *testing.T) {
	a := NewAuthorizer(nil)
	p, err := a.Identify(context.Background(), nil)
	require.NoError(t, err)
	require.Equal(t, "anybody", p.Name())
	require.True(t, p.May(server.VerbAdmin, ""))
	require.True(t, p.MayAll(server.VerbFork, ""))
	p, err = a.Identify(from("edge-1", true), nil)
	require.NoError(t, err)
	require.Equal(t, "cert:edge-1", p.Name(), "for the log")
}
