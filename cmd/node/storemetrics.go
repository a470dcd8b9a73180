package node

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tinedb/tine/engine"
)

// lookAgain is how old figures of the store may be. To count them holds the store's
// lock for a moment, and somebody may scrape in a loop.
const lookAgain = time.Second

// sample is what is asked of the store for one scrape.
type sample struct {
	stats   engine.Stats
	timings engine.Timings
	disk    engine.DiskUsage
	diskOK  bool
	free    uint64
	freeOK  bool
	taken   time.Time
}

// storeMetrics tells what the store holds and does. It may be used concurrently.
type storeMetrics struct {
	condition *condition
	dir       string

	mu   sync.Mutex
	last sample
}

// figure is a metric that is one number of a sample.
type figure struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*sample) float64
}

func gauge(name, help string, value func(*sample) float64) figure {
	return figure{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, value}
}

func counter(name, help string, value func(*engine.Stats) uint64) figure {
	return figure{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue,
		func(s *sample) float64 { return float64(value(&s.stats)) }}
}

// figures are the single numbers of the store. What begins with tine_ and has no
// labels is here.
var figures = []figure{
	gauge("tine_forks", "Forks.", func(s *sample) float64 { return float64(s.stats.Forks) }),
	gauge("tine_snapshots", "Snapshots.", func(s *sample) float64 { return float64(s.stats.Snapshots) }),
	gauge("tine_nodes", "Nodes of the fork tree: layers that forks share.", func(s *sample) float64 { return float64(s.stats.Nodes) }),
	gauge("tine_memory_nodes", "Nodes that are in memory, not yet written to tables.", func(s *sample) float64 { return float64(s.stats.MemoryNodes) }),
	gauge("tine_tables", "Tables that something holds.", func(s *sample) float64 { return float64(s.stats.Tables) }),
	gauge("tine_open_iterators", "Iterators that are open: each keeps the files that it reads.", func(s *sample) float64 { return float64(s.stats.OpenIterators) }),
	gauge("tine_memtable_bytes", "Memory of all unflushed writes.", func(s *sample) float64 { return float64(s.stats.MemtableBytes) }),
	gauge("tine_live_table_bytes", "Bytes of tables that forks and snapshots need.", func(s *sample) float64 { return float64(s.stats.TableBytes) }),
	gauge("tine_log_bytes", "Bytes of log that would be replayed; its files are preallocated and larger.", func(s *sample) float64 { return float64(s.stats.WALBytes) }),
	gauge("tine_vector_bytes", "Memory of deletion vectors.", func(s *sample) float64 { return float64(s.stats.VectorBytes) }),
	gauge("tine_marked_rows", "Marks of dead rows, for each fork that marks them.", func(s *sample) float64 { return float64(s.stats.MarkedRows) }),
	gauge("tine_block_cache_bytes", "Memory of cached table blocks.", func(s *sample) float64 { return float64(s.stats.CacheBytes) }),
	gauge("tine_table_cache_bytes", "Memory of indexes and filters of open tables.", func(s *sample) float64 { return float64(s.stats.TableCacheBytes) }),
	gauge("tine_sieve_bytes", "Memory of filters of several small runs.", func(s *sample) float64 { return float64(s.stats.SieveBytes) }),
	gauge("tine_weave_bytes", "Memory of the written order of rows in several runs.", func(s *sample) float64 { return float64(s.stats.WeaveBytes) }),
	gauge("tine_open_tables", "Tables whose index and filter are in memory.", func(s *sample) float64 { return float64(s.stats.OpenTables) }),
	gauge("tine_merge_lag_seconds", "How long merges have not been at rest: grows while they cannot keep up.", func(s *sample) float64 { return s.timings.MergeLag.Seconds() }),

	counter("tine_last_lsn", "Number of the newest record of the log.", func(s *engine.Stats) uint64 { return s.LastLSN }),
	counter("tine_forks_made_total", "Forks made.", func(s *engine.Stats) uint64 { return s.ForksMade }),
	counter("tine_flushed_nodes_total", "Nodes written from memory to tables.", func(s *engine.Stats) uint64 { return s.Flushes }),
	counter("tine_flushed_bytes_total", "Bytes of tables written from memory.", func(s *engine.Stats) uint64 { return s.BytesFlushed }),
	counter("tine_merged_runs_total", "Runs merged by a swap.", func(s *engine.Stats) uint64 { return s.Merges }),
	counter("tine_shared_merged_runs_total", "Of the merged runs, those across a branch point: the old rows stay for others.", func(s *engine.Stats) uint64 { return s.SharedMerges }),
	counter("tine_merged_bytes_total", "Bytes of tables written by merges.", func(s *engine.Stats) uint64 { return s.BytesMerged }),
	counter("tine_joined_nodes_total", "Nodes joined without reading or writing tables.", func(s *engine.Stats) uint64 { return s.Joins }),
	counter("tine_consolidations_total", "Memtables merged in memory.", func(s *engine.Stats) uint64 { return s.Consolidations }),
	counter("tine_discarded_results_total", "Results of jobs that nobody wanted any more.", func(s *engine.Stats) uint64 { return s.Discarded }),
	counter("tine_tombstones_dropped_total", "Tombstones not written, or merged away.", func(s *engine.Stats) uint64 { return s.TombstonesDropped }),
	counter("tine_rows_marked_total", "Rows marked dead by deletes.", func(s *engine.Stats) uint64 { return s.RowsMarked }),
	counter("tine_dead_rewrites_total", "Merges because of dead rows.", func(s *engine.Stats) uint64 { return s.DeadRewrites }),
	counter("tine_relocated_bytes_total", "Bytes of tables copied to give back space in their files.", func(s *engine.Stats) uint64 { return s.BytesRelocated }),
	counter("tine_files_removed_total", "Table files removed.", func(s *engine.Stats) uint64 { return s.FilesRemoved }),
	counter("tine_write_stalls_total", "Writes that had to wait for memory or for the log.", func(s *engine.Stats) uint64 { return s.WriteStalls }),
	counter("tine_background_failures_total", "Failures of flushes, merges and reclaiming; each is logged and tried again.", func(s *engine.Stats) uint64 { return s.BackgroundFailures }),
	counter("tine_block_cache_hits_total", "Blocks found in the cache.", func(s *engine.Stats) uint64 { return s.CacheHits }),
	counter("tine_block_cache_misses_total", "Blocks read from a file.", func(s *engine.Stats) uint64 { return s.CacheMisses }),
	counter("tine_tables_evicted_total", "Tables whose index and filter were let go of to stay within table-cache-bytes.", func(s *engine.Stats) uint64 { return s.TablesEvicted }),
}

var (
	readyDesc = prometheus.NewDesc("tine_ready", "1 if calls should be sent here, as /readyz.", nil, nil)
	aliveDesc = prometheus.NewDesc("tine_alive", "0 if the process should be started anew, as /healthz.", nil, nil)
	diskDesc  = prometheus.NewDesc("tine_disk_bytes", "Bytes of files in the store's directory.", []string{"kind"}, nil)
	filesDesc = prometheus.NewDesc("tine_disk_files", "Files in the store's directory.", []string{"kind"}, nil)
	freeDesc  = prometheus.NewDesc("tine_disk_free_bytes", "Bytes free for this process on the disk of the store.", nil, nil)

	readsDesc     = prometheus.NewDesc("tine_io_reads_total", "Reads of files.", []string{"kind"}, nil)
	readDesc      = prometheus.NewDesc("tine_io_read_bytes_total", "Bytes read of files.", []string{"kind"}, nil)
	writesDesc    = prometheus.NewDesc("tine_io_writes_total", "Writes to files.", []string{"kind"}, nil)
	writtenDesc   = prometheus.NewDesc("tine_io_written_bytes_total", "Bytes written to files.", []string{"kind"}, nil)
	syncTimesDesc = prometheus.NewDesc("tine_io_sync_seconds", "How long it took to make a file, or the names of a directory, durable.", []string{"kind"}, nil)
	readTimesDesc = prometheus.NewDesc("tine_table_read_seconds", "How long a read of a table took, of one in sixteen.", nil, nil)
	jobTimesDesc  = prometheus.NewDesc("tine_job_seconds", "How long background jobs took.", []string{"job"}, nil)
	waitTimesDesc = prometheus.NewDesc("tine_write_wait_seconds", "How long writes were held back, of those that were.", []string{"for"}, nil)

	labelled = []*prometheus.Desc{readyDesc, aliveDesc, diskDesc, filesDesc, freeDesc, readsDesc, readDesc, writesDesc,
		writtenDesc, syncTimesDesc, readTimesDesc, jobTimesDesc, waitTimesDesc}
)

// Describe is part of prometheus.Collector.
func (m *storeMetrics) Describe(out chan<- *prometheus.Desc) {
	for _, f := range figures {
		out <- f.desc
	}
	for _, d := range labelled {
		out <- d
	}
}

// Collect is part of prometheus.Collector. While the store is not open it tells only
// whether the node is alive and ready.
func (m *storeMetrics) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(readyDesc, prometheus.GaugeValue, oneIf(m.condition.ready() == nil))
	out <- prometheus.MustNewConstMetric(aliveDesc, prometheus.GaugeValue, oneIf(m.condition.alive() == nil))
	store := m.condition.store.Load()
	if store == nil {
		return
	}
	s := m.sample(store)
	for _, f := range figures {
		out <- prometheus.MustNewConstMetric(f.desc, f.kind, f.value(&s))
	}
	if s.diskOK {
		constant(out, diskDesc, prometheus.GaugeValue, float64(s.disk.LogBytes), "log")
		constant(out, diskDesc, prometheus.GaugeValue, float64(s.disk.ManifestBytes), "manifest")
		constant(out, diskDesc, prometheus.GaugeValue, float64(s.disk.TableBytes), "table")
		constant(out, diskDesc, prometheus.GaugeValue, float64(s.disk.OtherBytes), "other")
		constant(out, filesDesc, prometheus.GaugeValue, float64(s.disk.LogFiles), "log")
		constant(out, filesDesc, prometheus.GaugeValue, float64(s.disk.TableFiles), "table")
	}
	if s.freeOK {
		constant(out, freeDesc, prometheus.GaugeValue, float64(s.free))
	}
	fileIO(out, &s.timings.Log, "log")
	fileIO(out, &s.timings.Manifest, "manifest")
	fileIO(out, &s.timings.Tables, "table")
	times(out, readTimesDesc, s.timings.Tables.ReadTimes)
	times(out, syncTimesDesc, s.timings.DirSyncs, "directory")
	times(out, jobTimesDesc, s.timings.Flushes, "flush")
	times(out, jobTimesDesc, s.timings.Merges, "merge")
	times(out, waitTimesDesc, s.timings.MemoryWaits, "memory")
	times(out, waitTimesDesc, s.timings.LogWaits, "log")
}

// sample asks the store, unless somebody has just done so.
func (m *storeMetrics) sample(store *engine.Store) sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Since(m.last.taken) < lookAgain {
		return m.last
	}
	s := sample{stats: store.Stats(), timings: store.Timings()}
	var err error
	s.disk, err = store.DiskUsage()
	s.diskOK = err == nil
	s.free, err = freeBytes(m.dir)
	s.freeOK = err == nil
	s.taken = time.Now()
	m.last = s
	return s
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func constant(out chan<- prometheus.Metric, d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, kind, v, labels...)
}

func fileIO(out chan<- prometheus.Metric, f *engine.FileIO, kind string) {
	constant(out, readsDesc, prometheus.CounterValue, float64(f.Reads), kind)
	constant(out, readDesc, prometheus.CounterValue, float64(f.BytesRead), kind)
	constant(out, writesDesc, prometheus.CounterValue, float64(f.Writes), kind)
	constant(out, writtenDesc, prometheus.CounterValue, float64(f.BytesWritten), kind)
	times(out, syncTimesDesc, f.SyncTimes, kind)
}

func times(out chan<- prometheus.Metric, d *prometheus.Desc, l engine.Latency, labels ...string) {
	buckets := make(map[float64]uint64, len(l.Buckets))
	below := uint64(0)
	for i, n := range l.Buckets[:len(l.Buckets)-1] {
		below += n
		buckets[engine.LatencyBound(i).Seconds()] = below
	}
	out <- prometheus.MustNewConstHistogram(d, l.Count, l.Sum.Seconds(), buckets, labels...)
}
