package node

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What is wrong with a file need not show on it: a disk that gave no bytes, a directory
// that was closed. Here the file has its size and time back before anybody looks.
func TestCertificatesThatCouldNotBeLoadedAreLookedAtAgain(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	good := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	c := NewConfig()
	c.TLSCert, c.TLSKey = filepath.Join(t.TempDir(), "cert"), filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(c.TLSKey, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600))
	put := func(text []byte, modified time.Time) {
		require.NoError(t, os.WriteFile(c.TLSCert, text, 0o600))
		require.NoError(t, os.Chtimes(c.TLSCert, modified, modified))
	}
	put(good, time.Unix(1000, 0))
	certs, err := loadCertificates(c)
	require.NoError(t, err)
	var log bytes.Buffer
	n := &node{c: c, log: newLogger(c, &log), certs: certs}
	n.reloadIfChanged()
	require.Empty(t, log.String())

	put(bytes.Repeat([]byte("x"), len(good)), time.Unix(2000, 0))
	for range 3 {
		n.reloadIfChanged()
	}
	require.Equal(t, 1, strings.Count(log.String(), "reload failed"), "it is said once: %s", log.String())
	require.EqualValues(t, 1, certs.failures.Load())
	put(good, time.Unix(2000, 0))
	n.reloadIfChanged()
	require.Contains(t, log.String(), "msg=reloaded")
	before := log.Len()
	n.reloadIfChanged()
	require.Equal(t, before, log.Len())

	require.NoError(t, os.Remove(c.TLSKey))
	n.reloadIfChanged()
	n.reloadIfChanged()
	require.Equal(t, 2, strings.Count(log.String(), "reload failed"), "another failure is said too, once: %s", log.String())
	n.reload()
	require.Equal(t, 3, strings.Count(log.String(), "reload failed"), "and again to who asks: %s", log.String())
}
