package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A node with a certificate and tokens, and the flags that a caller needs for it.
func TestVerbsOnANodeThatAsksWhoCalls(t *testing.T) {
	authority := newAuthority(t)
	own, stranger := authority.files("node"), newAuthority(t).files("stranger")
	tokens, token := filepath.Join(t.TempDir(), "tokens"), filepath.Join(t.TempDir(), "token")
	secret := ok(t, "token", "new", "ci", "--read", "main,ci-*", "--write", "ci-*,other", "--append", tokens)
	require.NoError(t, os.WriteFile(token, []byte(secret), 0o600))
	dir := newStore(t)
	ok(t, in(dir, "fork", "create", "ci-1", "other")...)
	n := serve(t, dir, "--tls-cert", own.cert, "--tls-key", own.key, "--tokens", tokens)

	known := func(args ...string) []string {
		return at(n.Listen, append([]string{"--tls-ca", own.clientCA}, args...)...)
	}
	asCI := func(args ...string) []string { return known(append([]string{"--token-file", token}, args...)...) }
	require.Equal(t, "value of a/1", ok(t, asCI("get", "a/1")...))
	ok(t, asCI("put", "--fork", "ci-1", "k", "v")...)
	fails(t, exitDenied, asCI("put", "k", "v"), "denied")
	ok(t, asCI("put", "--fork", "other", "k", "v")...) // to write is not to read
	fails(t, exitDenied, asCI("get", "--fork", "other", "k"), "denied")
	fails(t, exitDenied, asCI("fork", "create", "ci-2"), "denied")
	fails(t, exitDenied, asCI("stats"), "denied")
	fails(t, exitDenied, asCI("backup", "--to", filepath.Join(t.TempDir(), "x")), "denied")
	forks := inJSON[[]forkRow](t, asCI("fork", "list")...)
	require.Len(t, forks, 2, "it sees what it may read")

	fails(t, exitDenied, known("get", "a/1"), "--token-file")
	t.Setenv("TINE_TOKEN", secret)
	require.Equal(t, "v", ok(t, known("get", "--fork", "ci-1", "k")...))
	t.Setenv("TINE_TOKEN", "wrong")
	fails(t, exitDenied, known("get", "a/1"), "token")

	fails(t, exitUsage, at("192.0.2.1:4790", "--token-file", token, "get", "a/1"), "TLS only", "--insecure-plaintext")
	fails(t, exitUsage, known("--tls-client-cert", own.cert, "get", "a/1"), "belong together")
	fails(t, exitUsage, at(n.Listen, "--tls-ca", token, "get", "a/1"), "no certificate")
	fails(t, exitUnreached, at(n.Listen, "--tls-ca", stranger.clientCA, "get", "a/1"), "certificate")
}

// A node that lets in only who has a certificate.
func TestVerbsWithAClientsCertificate(t *testing.T) {
	authority := newAuthority(t)
	own, caller := authority.files("node"), authority.files("caller")
	n := serve(t, newStore(t), "--tls-cert", own.cert, "--tls-key", own.key, "--tls-client-ca", own.clientCA)
	args := at(n.Listen, "--tls-ca", own.clientCA, "--tls-client-cert", caller.cert, "--tls-client-key", caller.key)
	require.Equal(t, "value of a/1", ok(t, append(args, "get", "a/1")...))
}
