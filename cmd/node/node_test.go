package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/tinedb/tine/cmd/rpc/auth"
	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// served gives a node whose store is on a disk that can fail.
func served(t *testing.T, log io.Writer) (*node, *faultfs.FS) {
	t.Helper()
	disk := faultfs.New(crashfs.New())
	store, err := engine.Open("db", &engine.Options{FS: disk})
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	c := NewConfig()
	c.Data = t.TempDir() // of which the free space is told
	n := &node{c: c, log: newLogger(c, log), store: store}
	n.server, err = server.New(store, server.Options{Auth: server.Everybody})
	require.NoError(t, err)
	t.Cleanup(func() { _ = n.server.Shutdown(context.Background()) })
	n.condition.store.Store(store)
	n.condition.phase.Store(serving)
	return n, disk
}

func TestAStoreThatStopsWritingIsAliveButNotReady(t *testing.T) {
	var log bytes.Buffer
	n, disk := served(t, &log)
	require.NoError(t, n.condition.ready())
	require.NoError(t, n.lookAtHealth(nil))
	require.Empty(t, log.String())

	disk.Inject(faultfs.Rule{Op: faultfs.OpSync, Err: errors.New("the disk is gone"), Sticky: true})
	main, err := n.store.Fork(engine.MainFork)
	require.NoError(t, err)
	require.Error(t, main.Set([]byte("k"), []byte("v")))

	ill := n.lookAtHealth(nil)
	require.ErrorIs(t, ill, engine.ErrPoisoned)
	require.Contains(t, log.String(), "takes no writes any more")
	require.Contains(t, log.String(), "the disk is gone")
	require.Equal(t, ill, n.lookAtHealth(ill))
	require.Equal(t, 1, strings.Count(log.String(), "\n"), "it is said once: %s", log.String())

	admin := adminServer(&n.condition, newRegistry(), n.log).Handler
	answer := func(path string) (int, string) {
		r := httptest.NewRecorder()
		admin.ServeHTTP(r, httptest.NewRequest("GET", path, nil))
		return r.Code, r.Body.String()
	}
	code, body := answer("/readyz")
	require.Equal(t, 503, code)
	require.Contains(t, body, "the disk is gone")
	code, _ = answer("/healthz")
	require.Equal(t, 200, code, "a restart would take the reads away")
}

func TestANodeIsNotReadyBeforeAndAfterItServes(t *testing.T) {
	var c condition
	require.ErrorIs(t, c.ready(), errStarting)
	require.NoError(t, c.alive())
	n, _ := served(t, io.Discard)
	n.condition.phase.Store(draining)
	require.ErrorIs(t, n.condition.ready(), errDraining)
	require.NoError(t, n.condition.alive())
}

// names are the metrics of a node that has everything.
func names(t *testing.T) (*nodeMetrics, map[string]bool) {
	t.Helper()
	n, _ := served(t, io.Discard)
	path := filepath.Join(t.TempDir(), "tokens")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	var err error
	n.tokens, err = auth.Load(path)
	require.NoError(t, err)
	n.certs = &certificates{}
	m := newNodeMetrics(n)
	m.server.Store(n.server)
	m.calls.Started("Get")
	m.calls.Done(server.Event{Method: "Get", Took: time.Millisecond, Admitted: true})
	families, err := m.registry.Gather()
	require.NoError(t, err)
	found := map[string]bool{}
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), "tine_") {
			found[f.GetName()] = true
		}
	}
	return m, found
}

func TestMetricsAreNamedAsPrometheusWants(t *testing.T) {
	m, _ := names(t)
	families, err := m.registry.Gather()
	require.NoError(t, err)
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	require.NoError(t, err)
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "tine_") && p.Metric != "tine_last_lsn" {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestTheGuideHasEveryMetricAndEverySetting(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "node.md"))
	require.NoError(t, err)
	guide := string(text)
	_, found := names(t)
	require.Greater(t, len(found), 60)
	for name := range found {
		require.Contains(t, guide, "`"+name+"`")
	}
	for _, name := range regexp.MustCompile(`tine_[a-z_]*[a-z]`).FindAllString(guide, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			if base, ok := strings.CutSuffix(name, suffix); ok && !found[name] {
				name = base
			}
		}
		require.True(t, found[name], "the guide names %s, which does not exist", name)
	}
	_, guide, _ = strings.Cut(guide, "## Settings")
	guide, _, _ = strings.Cut(guide, "\n## ")
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	NewConfig().Register(flags)
	flags.VisitAll(func(f *pflag.Flag) {
		line := regexp.MustCompile("(?m)^\\| .*`" + f.Name + "`.*\\| (.*) \\| .*\\|$").FindStringSubmatch(guide)
		require.NotNil(t, line, "the guide has no line for %s", f.Name)
		if f.DefValue != "" && f.DefValue != "0" && f.DefValue != "0s" {
			require.Equal(t, f.DefValue, strings.Trim(line[1], "`"), "default of %s", f.Name)
		}
	})
}

func TestSlowCallsAreLoggedButNotThoseThatLast(t *testing.T) {
	var log bytes.Buffer
	c := NewConfig()
	m := newCallMetrics(newRegistry(), newLogger(c, &log), time.Second)
	for _, e := range []struct {
		name  string
		event server.Event
		slow  bool
	}{
		{"a quick one", server.Event{Method: "Get", Took: time.Second - 1}, false},
		{"a slow one", server.Event{Method: "Get", Took: time.Second, Principal: "ci", Code: codes.NotFound}, true},
		{"a scan", server.Event{Method: "Scan", Took: time.Hour}, false},
		{"a watch of health", server.Event{Method: "HealthWatch", Took: time.Hour}, false},
		{"a check", server.Event{Method: "Check", Verb: server.VerbAdmin, Took: time.Hour}, false},
	} {
		t.Run(e.name, func(t *testing.T) {
			log.Reset()
			m.Done(e.event)
			require.Equal(t, e.slow, strings.Contains(log.String(), "slow call"), log.String())
		})
	}
}

func TestFiguresOfAStoreAreTold(t *testing.T) {
	n, _ := served(t, io.Discard)
	main, err := n.store.Fork(engine.MainFork)
	require.NoError(t, err)
	require.NoError(t, main.Set([]byte("k"), []byte("v")))
	require.NoError(t, n.store.Flush())
	registry := prometheus.NewRegistry()
	registry.MustRegister(&storeMetrics{condition: &n.condition, dir: n.c.Data})
	figures := func() map[string]float64 {
		families, err := registry.Gather()
		require.NoError(t, err)
		values := map[string]float64{}
		for _, f := range families {
			m := f.GetMetric()[0]
			values[f.GetName()] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
		return values
	}
	s := n.store.Stats()
	told := figures()
	require.Equal(t, float64(1), told["tine_ready"])
	require.Equal(t, float64(s.Flushes), told["tine_flushed_nodes_total"])
	require.Equal(t, float64(s.TableBytes), told["tine_live_table_bytes"])
	require.Equal(t, float64(s.Forks), told["tine_forks"])
	require.NotZero(t, told["tine_disk_free_bytes"])
	require.NotZero(t, told["tine_flushed_bytes_total"])

	n.condition.store.Store(nil)
	require.Len(t, figures(), 2, "a store that is not open has no figures")
}
