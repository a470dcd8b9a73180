package node

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
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
	failures            atomic.Uint64

	// Of the one goroutine that loads:
	stamps  *[3]stamp // of what is in force; nil once a load has failed, so that each look tries again
	failure string    // of the last load, as it was told; "" if it succeeded
}

// stamp tells whether a file has changed, or its mode.
type stamp struct {
	modified time.Time
	size     int64
	mode     fs.FileMode
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
	err := s.load()
	s.told(err)
	return err
}

// told counts a load that failed, and keeps what was wrong.
func (s *certificates) told(err error) {
	s.failure = ""
	if err != nil {
		s.failure = err.Error()
		s.failures.Add(1)
	}
}

func (s *certificates) load() error {
	s.stamps = nil
	now := s.stampsNow() // before: what changes meanwhile is read again
	if err := s.replace(); err != nil {
		return fmt.Errorf("certificates: %w", err)
	}
	s.stamps = &now
	return nil
}

// replace puts what the files hold into force.
func (s *certificates) replace() error {
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

// reloadIfChanged reads the files again if one has changed since they were loaded, or
// they could not be loaded then: what was wrong may be mended without a trace on the
// files themselves. It tells whether there is news: a load, or another failure than the
// last.
func (s *certificates) reloadIfChanged() (news bool, err error) {
	if s.stamps != nil && s.stampsNow() == *s.stamps {
		return false, nil
	}
	err = s.load()
	if err != nil && err.Error() == s.failure {
		return false, nil
	}
	s.told(err)
	return true, err
}

func (s *certificates) stampsNow() (now [3]stamp) {
	for i, name := range []string{s.cert, s.key, s.clientCA} {
		if info, err := os.Stat(name); err == nil {
			now[i] = stamp{info.ModTime(), info.Size(), info.Mode()}
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
