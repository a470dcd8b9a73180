package node

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Bounds of the two administrative ports. What they answer is small, but for profiles
// and traces, which take as long as they are asked to.
const (
	adminTimeout   = 30 * time.Second
	profileTimeout = 5 * time.Minute
	adminHeader    = 16 << 10
	scrapesAtOnce  = 4
)

// adminServer answers /metrics, /healthz and /readyz. Health answers with one line that
// says why not, and 503.
func adminServer(c *condition, registry *prometheus.Registry, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", answer(c.alive))
	mux.HandleFunc("GET /readyz", answer(c.ready))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: scrapesAtOnce, ErrorLog: scrapeLog{log}, ErrorHandling: promhttp.ContinueOnError,
	}))
	return bounded(mux, adminTimeout, log)
}

// profileServer answers /debug/pprof.
func profileServer(log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return bounded(mux, profileTimeout, log)
}

func bounded(h http.Handler, timeout time.Duration, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: adminTimeout, WriteTimeout: timeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: adminHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

func answer(ask func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		if err := ask(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprintln(w, err)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}

// scrapeLog takes what promhttp has to complain about.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(v ...any) { l.log.Warn("metrics", "error", fmt.Sprint(v...)) }
