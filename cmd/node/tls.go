package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// certificates are the node's own certificate and the authorities of its clients, as
// they were last loaded. It may be used concurrently; each handshake meets one state.
type certificates struct {
	cert, key, clientCA string // files
	now                 atomic.Pointer[tls.Config]
	expires             atomic.Int64 // of the node's certificate, Unix seconds
	stamps              atomic.Pointer[[3]stamp]
	failures            atomic.Uint64
}

// stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// loadCertificates gives nil if the node serves plaintext.
func loadCertificates(c *Config) (*certificates, error) {
	if c.TLSCert == "" {
		return nil, nil
	}
	s := &certificates{cert: c.TLSCert, key: c.TLSKey, clientCA: c.TLSClientCA}
	return s, s.reload()
}

// reload reads the files again. If that fails, what was loaded before stays in force.
func (s *certificates) reload() error {
	stamps := s.stampsNow()
	s.stamps.Store(&stamps)
	if err := s.load(); err != nil {
		s.failures.Add(1)
		return fmt.Errorf("certificates: %w", err)
	}
	return nil
}

func (s *certificates) load() error {
	pair, err := tls.LoadX509KeyPair(s.cert, s.key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", s.cert, s.key, err)
	}
	c := &tls.Config{
		MinVersion:   tls.VersionTLS13,
		NextProtos:   []string{"h2"},
		Certificates: []tls.Certificate{pair},
	}
	if s.clientCA != "" {
		pem, err := os.ReadFile(s.clientCA)
		if err != nil {
			return err
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s: %w", s.clientCA, errors.New("holds no certificate"))
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	s.now.Store(c)
	s.expires.Store(pair.Leaf.NotAfter.Unix())
	return nil
}

// reloadIfChanged reads the files again if one has changed since they were last read,
// and tells whether it did.
func (s *certificates) reloadIfChanged() (bool, error) {
	if s.stampsNow() == *s.stamps.Load() {
		return false, nil
	}
	return true, s.reload()
}

func (s *certificates) stampsNow() (now [3]stamp) {
	for i, name := range []string{s.cert, s.key, s.clientCA} {
		if info, err := os.Stat(name); err == nil {
			now[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return now
}

// config is for the listener: each handshake asks for what is in force then. A session
// that is resumed would not be asked for its certificate again, so there are none.
func (s *certificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		NextProtos:             []string{"h2"},
		SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			c := s.now.Load().Clone()
			c.SessionTicketsDisabled = true
			return c, nil
		},
	}
}
