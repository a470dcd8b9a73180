package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// authority issues certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, next: 1}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := a.template("test authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.key = key
	return a
}

func (a *authority) template(commonName string) *x509.Certificate {
	a.next++
	return &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: commonName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
}

// pem is the authority's own certificate.
func (a *authority) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// issue makes a certificate for the loopback address and a client of that name.
func (a *authority) issue(commonName string) (cert, key []byte) {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template := a.template(commonName)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	require.NoError(a.t, err)
	keyDER, err := x509.MarshalECPrivateKey(k)
	require.NoError(a.t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
}

// secured is a directory with what a node needs for TLS.
type secured struct {
	cert, key, clientCA string
}

func (a *authority) files(commonName string) secured {
	a.t.Helper()
	dir := a.t.TempDir()
	s := secured{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	cert, key := a.issue(commonName)
	require.NoError(a.t, os.WriteFile(s.cert, cert, 0o600))
	require.NoError(a.t, os.WriteFile(s.key, key, 0o600))
	require.NoError(a.t, os.WriteFile(s.clientCA, a.pem(), 0o600))
	return s
}

// handshake shakes hands as a client and tells whom it met.
func (n *served) handshake(c *tls.Config) (server string, err error) {
	n.t.Helper()
	c.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", n.Listen, c)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	// With TLS 1.3 a refusal of the client's certificate comes after its handshake.
	require.NoError(n.t, conn.SetReadDeadline(time.Now().Add(patience)))
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return "", err
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName, nil
}

func TestANodeSpeaksTLS13AndNothingElse(t *testing.T) {
	a := newAuthority(t)
	f := a.files("node-1")
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--tls-cert", f.cert, "--tls-key", f.key)

	name, err := n.handshake(&tls.Config{RootCAs: a.pool()})
	require.NoError(t, err)
	require.Equal(t, "node-1", name)
	_, err = n.handshake(&tls.Config{RootCAs: a.pool(), MaxVersion: tls.VersionTLS12})
	require.ErrorContains(t, err, "protocol version")
	_, err = n.handshake(&tls.Config{RootCAs: newAuthority(t).pool()})
	require.ErrorContains(t, err, "unknown authority")

	_, err = healthpb.NewHealthClient(n.dial(grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: a.pool()})))).
		Check(soon(t), &healthpb.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = healthpb.NewHealthClient(n.dial()).Check(soon(t), &healthpb.HealthCheckRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "plaintext is not understood: %v", err)
	require.NotEmpty(t, n.metric("tine_certificate_expires_timestamp_seconds"))

	t.Run("a renewed certificate is shown to who connects from then on", func(t *testing.T) {
		cert, key := a.issue("node-2")
		require.NoError(t, os.WriteFile(f.key, key, 0o600))
		require.NoError(t, os.WriteFile(f.cert, cert, 0o600))
		n.logs("msg=reloaded", "what=certificates")
		name, err := n.handshake(&tls.Config{RootCAs: a.pool()})
		require.NoError(t, err)
		require.Equal(t, "node-2", name)
	})
	t.Run("a broken one is not", func(t *testing.T) {
		require.NoError(t, os.WriteFile(f.cert, []byte("nonsense"), 0o600))
		n.logs("reload failed", "what=certificates")
		n.signal(syscall.SIGHUP)
		n.logs("msg=reloading")
		name, err := n.handshake(&tls.Config{RootCAs: a.pool()})
		require.NoError(t, err)
		require.Equal(t, "node-2", name)
		require.NotEqual(t, "0", n.metric("tine_certificate_failures_total"))
	})
}

func TestANodeThatAsksForCertificatesLetsNobodyElseIn(t *testing.T) {
	a := newAuthority(t)
	f := a.files("node")
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--tls-cert", f.cert, "--tls-key", f.key, "--tls-client-ca", f.clientCA)
	pair := func(a *authority) []tls.Certificate {
		cert, err := tls.X509KeyPair(a.issue("client"))
		require.NoError(t, err)
		return []tls.Certificate{cert}
	}
	_, err := n.handshake(&tls.Config{RootCAs: a.pool(), Certificates: pair(a)})
	require.NoError(t, err)
	_, err = n.handshake(&tls.Config{RootCAs: a.pool()})
	require.ErrorContains(t, err, "certificate required")
	n.logs("TLS handshake failed", "remote=127.0.0.1", "didn't provide a certificate")
	_, err = n.handshake(&tls.Config{RootCAs: a.pool(), Certificates: pair(newAuthority(t))})
	require.Error(t, err, "a certificate of an unknown authority")
}

func TestAChangedTokensFileIsInForceWithoutARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	ok(t, "token", "new", "first", "--read", "main", "--append", path)
	n := serve(t, filepath.Join(t.TempDir(), "store"), "--tokens", path)
	require.Equal(t, "1", n.metric("tine_tokens"))

	ok(t, "token", "new", "second", "--read", "main", "--append", path)
	n.logs("msg=reloaded", "what=tokens")
	require.Equal(t, "2", n.metric("tine_tokens"))

	require.NoError(t, os.WriteFile(path, []byte("nonsense\n"), 0o600))
	n.logs("reload failed", "what=tokens", "line 1")
	require.Equal(t, "2", n.metric("tine_tokens"), "what was loaded stays in force")
	require.Equal(t, "1", n.metric("tine_tokens_failures_total"))

	n.signal(syscall.SIGHUP)
	n.logs("reloading", "SIGHUP")
	require.Eventually(t, func() bool { return n.metric("tine_tokens_failures_total") == "2" }, patience, 5*time.Millisecond)
	require.NotContains(t, n.log.String(), "tine_first_", "no token in the log")
}

func TestATokenIsPrintedOnceAndItsLineIsForTheFile(t *testing.T) {
	type made struct{ Token, Line string }
	m := inJSON[made](t, "token", "new", "ci", "--read", "main,run-*", "--write", "run-*", "--admin", "--rate", "5", "--bytes", "1MiB", "--expires", "2030-01-31")
	require.Regexp(t, `^tine_ci_[A-Za-z0-9_-]{43}$`, m.Token)
	require.Regexp(t, `^ci sha256:[0-9a-f]{64} read=main,run-\* write=run-\* admin rate=5 bytes=1048576 expires=2030-01-31T00:00:00Z$`, m.Line)
	require.NotContains(t, m.Line, m.Token)

	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(path, []byte("# no newline at the end"), 0o600))
	token := ok(t, "token", "new", "ci", "--append", path)
	require.Regexp(t, `^tine_ci_\S+\n$`, token)
	ok(t, "token", "new", "old", "--read", "main", "--expires", "2020-01-01", "--append", path)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NotContains(t, string(before), token[:len(token)-1])
	fails(t, exitError, []string{"token", "new", "ci", "--append", path}, "stands in line")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(before), string(after), "the file stays as it was")

	list := ok(t, "token", "check", path)
	require.Regexp(t, `ci +valid\n`, list)
	require.Regexp(t, `old +read=main expires=2020-01-01T00:00:00Z +expired\n`, list)

	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	fails(t, exitUsage, []string{"token", "new", "C I"}, "characters other")
	fails(t, exitUsage, []string{"token", "new", "ci", "--read", "a*b"}, "neither a name nor a prefix")
	fails(t, exitUsage, []string{"token", "new", "ci", "--bytes", "much"}, "no number of bytes")
	require.NoError(t, os.Chmod(path, 0o666))
	fails(t, exitError, []string{"token", "check", path}, "chmod go-w")
}
