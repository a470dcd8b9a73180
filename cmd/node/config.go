package node

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/engine"
)

// Config is how a node runs. NewConfig gives the defaults; Validate must hold before
// Run.
type Config struct {
	Data string // directory of the store

	Listen string // where the service is
	Admin  string // where metrics and health are; "off" for nowhere
	Pprof  string // where profiles are; loopback only; "off" for nowhere

	InsecurePlaintext bool // no TLS on an address that others reach
	InsecureNoTokens  bool // let in everybody who reaches it
	TLSCert, TLSKey   string
	TLSClientCA       string // who connects must have a certificate of one of these
	Tokens            string // who may do what

	DrainTimeout time.Duration
	LogLevel     string
	LogFormat    string
	LogSlow      time.Duration // calls that take as long are logged; 0: none

	MaxReceiveBytes, MaxSendBytes, MaxBytesInFlight   byteSize // of the service; 0: its defaults
	MaxConnections, MaxStreams, MaxInFlight, MaxScans int
	CallTime, ScanTime, Lease                         time.Duration
	ForkCalls                                         float64 // a second, of one fork; 0: no bound
	ForkBytes                                         byteSize

	MemtableBytes, CacheBytes, TableCacheBytes, MaxLogBytes byteSize // of the engine; 0: its defaults
	MaxOpenFiles                                            int
}

// NewConfig gives the defaults.
func NewConfig() *Config {
	return &Config{
		Listen: "127.0.0.1:4790", Admin: "127.0.0.1:4791", Pprof: "127.0.0.1:4792",
		DrainTimeout: 30 * time.Second, LogLevel: "info", LogFormat: "text", LogSlow: time.Second,
	}
}

// limits are those of the service.
func (c *Config) limits() server.Limits {
	return server.Limits{
		MaxReceiveBytes: int(c.MaxReceiveBytes), MaxSendBytes: int(c.MaxSendBytes), MaxBytesInFlight: int64(c.MaxBytesInFlight),
		MaxConnections: c.MaxConnections, MaxStreams: c.MaxStreams, MaxInFlight: c.MaxInFlight, MaxScans: c.MaxScans,
		CallTime: c.CallTime, ScanTime: c.ScanTime, Lease: c.Lease,
		PerFork: server.Rates{Calls: c.ForkCalls, Bytes: float64(c.ForkBytes)},
	}
}

// engineOptions are how the store is opened.
func (c *Config) engineOptions(log *slog.Logger) *engine.Options {
	return &engine.Options{
		MemtableBytes: int64(c.MemtableBytes), CacheBytes: int64(c.CacheBytes), TableCacheBytes: int64(c.TableCacheBytes),
		MaxLogBytes: int64(c.MaxLogBytes), MaxOpenFiles: c.MaxOpenFiles, Logger: log,
	}
}

// Validate says what in the settings does not go together. It reads no file.
func (c *Config) Validate() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Data == "" {
		problem("no store: give its directory with --data DIR, in TINE_DATA or as data in the config file")
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		problem("tls-cert and tls-key belong together")
	}
	if c.TLSClientCA != "" && c.TLSCert == "" {
		problem("tls-client-ca needs tls-cert and tls-key")
	}
	inside, err := loopback(c.Listen)
	switch {
	case err != nil:
		problem("listen: %w", err)
	case inside:
	case c.TLSCert == "" && !c.InsecurePlaintext:
		problem("listen: others reach %s: give tls-cert and tls-key, or insecure-plaintext if the network is trusted with every token and row", c.Listen)
	case c.Tokens == "" && c.TLSClientCA == "" && !c.InsecureNoTokens:
		problem("listen: others reach %s: give tokens or tls-client-ca, or insecure-no-tokens to let everybody do everything", c.Listen)
	}
	if c.Admin != off {
		if _, err := loopback(c.Admin); err != nil {
			problem("admin: %w", err)
		}
	}
	if c.Pprof != off {
		if inside, err := loopback(c.Pprof); err != nil {
			problem("pprof: %w", err)
		} else if !inside {
			problem("pprof: %s can be reached by others: profiles are for a loopback address only", c.Pprof)
		}
	}
	if c.DrainTimeout < 0 || c.LogSlow < 0 {
		problem("drain-timeout and log-slow are not below 0")
	}
	for name, n := range map[string]int{
		"max-open-files": c.MaxOpenFiles, "max-connections": c.MaxConnections, "max-streams": c.MaxStreams,
		"max-in-flight": c.MaxInFlight, "max-scans": c.MaxScans,
	} {
		if n < 0 || n > 1<<30 {
			problem("%s is not between 0 and %d", name, 1<<30)
		}
	}
	for name, n := range map[string]byteSize{"max-receive-bytes": c.MaxReceiveBytes, "max-send-bytes": c.MaxSendBytes} {
		if n > 1<<30 {
			problem("%s is at most 1GiB", name)
		}
	}
	if err := c.limits().Validate(); err != nil {
		problem("max-bytes-in-flight: %w", err)
	}
	if c.CallTime < 0 || c.ScanTime < 0 || c.Lease < 0 || !(c.ForkCalls >= 0) {
		problem("call-time, scan-time, lease and fork-calls are not below 0")
	}
	return errors.Join(problems...)
}
