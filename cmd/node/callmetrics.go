package node

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/tinedb/tine/cmd/rpc/server"
)

// callBuckets are the bounds of call latencies in seconds, 50 microseconds to 20
// seconds, twice or two and a half times as much each.
var callBuckets = []float64{
	50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3, 200e-3, 500e-3, 1, 2, 5, 10, 20,
}

// callMetrics counts calls, and logs slow ones. It may be used concurrently.
//
// Labels are looked up once for each method: a call that succeeds costs some additions.
type callMetrics struct {
	log  *slog.Logger
	slow time.Duration // 0: none is slow

	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	engine   *prometheus.CounterVec
	in, out  *prometheus.CounterVec
	rows     *prometheus.CounterVec
	inFlight *prometheus.GaugeVec
	refused  *prometheus.CounterVec

	methods sync.Map // name → *methodMetrics
}

// methodMetrics are those of one method, looked up.
type methodMetrics struct {
	seconds       prometheus.Observer
	engine        prometheus.Counter
	in, out, rows prometheus.Counter
	inFlight      prometheus.Gauge
	ok            prometheus.Counter
}

func newCallMetrics(r *prometheus.Registry, log *slog.Logger, slow time.Duration) *callMetrics {
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &callMetrics{
		log: log, slow: slow,
		calls: vec("tine_calls_total", "Calls that ended, by method and status code.", "method", "code"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tine_call_seconds", Help: "How long calls took, from the moment the message had arrived; refused ones count too.",
			Buckets: callBuckets,
		}, []string{"method"}),
		engine: vec("tine_call_engine_seconds_total", "Of the time that calls took, what the engine took.", "method"),
		in:     vec("tine_call_received_bytes_total", "Bytes of request messages.", "method"),
		out:    vec("tine_call_sent_bytes_total", "Bytes of answer messages.", "method"),
		rows:   vec("tine_call_rows_total", "Rows got, written or scanned.", "method"),
		inFlight: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tine_calls_in_flight", Help: "Calls that were admitted and have not ended.",
		}, []string{"method"}),
		refused: vec("tine_refused_total", "Calls and connections that a limit refused or ended, by the limit.", "limit"),
	}
	r.MustRegister(m.calls, m.seconds, m.engine, m.in, m.out, m.rows, m.inFlight, m.refused)
	for _, limit := range server.EveryLimit { // each is there from the start, so that the first shows as a rise
		m.refused.WithLabelValues(string(limit))
	}
	return m
}

func (m *callMetrics) method(name string) *methodMetrics {
	if found, ok := m.methods.Load(name); ok {
		return found.(*methodMetrics)
	}
	x := &methodMetrics{
		seconds: m.seconds.WithLabelValues(name), engine: m.engine.WithLabelValues(name), in: m.in.WithLabelValues(name),
		out: m.out.WithLabelValues(name), rows: m.rows.WithLabelValues(name), inFlight: m.inFlight.WithLabelValues(name),
		ok: m.calls.WithLabelValues(name, codes.OK.String()),
	}
	found, _ := m.methods.LoadOrStore(name, x)
	return found.(*methodMetrics)
}

// Started is part of server.Observer.
func (m *callMetrics) Started(method string) { m.method(method).inFlight.Inc() }

// Refused is part of server.Observer.
func (m *callMetrics) Refused(limit server.Limit) { m.refused.WithLabelValues(string(limit)).Inc() }

// Done is part of server.Observer.
func (m *callMetrics) Done(e server.Event) {
	x := m.method(e.Method)
	if e.Admitted {
		x.inFlight.Dec()
	}
	if e.Code == codes.OK {
		x.ok.Inc()
	} else {
		m.calls.WithLabelValues(e.Method, e.Code.String()).Inc()
	}
	x.seconds.Observe(e.Took.Seconds())
	x.engine.Add(e.Engine.Seconds())
	x.in.Add(float64(e.BytesIn))
	x.out.Add(float64(e.BytesOut))
	x.rows.Add(float64(e.Rows))
	if m.slow > 0 && e.Took >= m.slow && !takesItsTime(e) {
		m.log.Warn("slow call", "method", e.Method, "caller", e.Principal, "code", e.Code.String(), "took", e.Took,
			"engine", e.Engine, "bytes_in", e.BytesIn, "bytes_out", e.BytesOut, "rows", e.Rows)
	}
}

// takesItsTime tells whether a call lasts as long as its caller wants or as there is
// work: that says nothing about the node.
func takesItsTime(e server.Event) bool {
	switch e.Method {
	case "Scan", "HealthWatch", "Reflection":
		return true
	}
	return e.Verb == server.VerbAdmin
}
