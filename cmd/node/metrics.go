package node

import (
	"runtime/debug"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/tinedb/tine/cmd/rpc/server"
)

// nodeMetrics is all that /metrics tells.
type nodeMetrics struct {
	registry *prometheus.Registry
	calls    *callMetrics
	server   atomic.Pointer[server.Server] // nil until it serves
}

func newNodeMetrics(n *node) *nodeMetrics {
	m := &nodeMetrics{registry: newRegistry()}
	m.calls = newCallMetrics(m.registry, n.log, n.c.LogSlow)
	m.registry.MustRegister(&storeMetrics{condition: &n.condition, dir: n.c.Data})
	m.measure("tine_connections", "Connections of clients.", func(l server.Load) int64 { return l.Connections })
	m.measure("tine_scans", "Scans under way; each keeps the files that it reads.", func(l server.Load) int64 { return l.Scans })
	m.measure("tine_bytes_in_flight", "Memory of messages that are under way.", func(l server.Load) int64 { return l.BytesInFlight })
	if t := n.tokens; t != nil {
		m.number("tine_tokens", "Entries of the tokens file that is in force.", func() float64 { return float64(t.Status().Entries) })
		m.number("tine_tokens_expired", "Of these, those whose time is over.", func() float64 { return float64(t.Status().Expired) })
		m.number("tine_tokens_loaded_timestamp_seconds", "When the tokens file in force was read.", func() float64 { return float64(t.Status().Loaded.Unix()) })
		m.count("tine_tokens_failures_total", "Tokens files that could not be loaded; the one before stayed in force.", func() float64 { return float64(t.Status().Failures) })
	}
	if c := n.certs; c != nil {
		m.number("tine_certificate_expires_timestamp_seconds", "When the node's certificate ends.", func() float64 { return float64(c.expires.Load()) })
		m.count("tine_certificate_failures_total", "Certificates that could not be loaded; those before stayed in force.", func() float64 { return float64(c.failures.Load()) })
	}
	return m
}

func (m *nodeMetrics) measure(name, help string, of func(server.Load) int64) {
	m.number(name, help, func() float64 {
		if s := m.server.Load(); s != nil {
			return float64(of(s.Load()))
		}
		return 0
	})
}

func (m *nodeMetrics) number(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

func (m *nodeMetrics) count(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// newRegistry makes a registry with what every Go process tells of itself, and which
// program this is.
func newRegistry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	return r
}

func buildInfo() prometheus.Collector {
	labels := prometheus.Labels{"version": "unknown", "revision": "", "go": ""}
	if info, ok := debug.ReadBuildInfo(); ok {
		labels["version"], labels["go"] = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				labels["revision"] = s.Value
			}
		}
	}
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tine_build_info", Help: "Always 1; the labels say which program this is.", ConstLabels: labels,
	})
	g.Set(1)
	return g
}
