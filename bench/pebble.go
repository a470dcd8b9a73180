package main

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable"
)

// pebblePeer is Pebble, with a snapshot as old state.
type pebblePeer struct {
	db    *pebble.DB
	batch *pebble.Batch
	old   *pebble.Snapshot
	point *pebble.Iterator // of getFiltered
	end   []byte           // digests end before this key; nil: they do not
	busy  atomic.Int64     // when background work last began or ended, in nanoseconds since the epoch
}

// pebbleOptions configures Pebble as its own benchmark command and CockroachDB do
// for local disks, with the caches, memtables and compression of the other side:
// newest format with columnar blocks, blocks of 32 KiB, Bloom filters of 10 bits a
// key on every level, compactions that begin at two sublevels of L0 and may use
// every core, and range deletions that drop files and cut others without reading
// them. Compactions of tombstones (by density, elision only, delete only) are on by
// default. Pebble takes the memory of memtables from its cache: so that as much is left
// for blocks as on the other side, that of one is added.
func pebbleOptions(m memory) *pebble.Options {
	o := &pebble.Options{
		CacheSize:                   m.cacheBytes + m.memtableBytes,
		FormatMajorVersion:          pebble.FormatNewest,
		L0CompactionThreshold:       2,
		L0StopWritesThreshold:       1000,
		LBaseMaxBytes:               64 << 20,
		MaxOpenFiles:                16384,
		MemTableSize:                uint64(m.memtableBytes),
		MemTableStopWritesThreshold: 4,
		CompactionConcurrencyRange:  func() (int, int) { return 1, runtime.NumCPU() },
		DisableAutomaticCompactions: m.still,
		Logger:                      quiet{},
	}
	o.Experimental.EnableColumnarBlocks = func() bool { return true }
	o.Experimental.EnableDeleteOnlyCompactionExcises = func() bool { return true }
	for i := range o.Levels {
		o.Levels[i].BlockSize = 32 << 10
		o.Levels[i].IndexBlockSize = 256 << 10
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].Compression = func() *sstable.CompressionProfile { return sstable.SnappyCompression }
	}
	o.EnsureDefaults()
	o.FlushSplitBytes = o.TargetFileSizes[0]
	return o
}

// pebbleSettings gives all options, in Pebble's own form.
func pebbleSettings(m memory) string { return pebbleOptions(m).String() }

func openPebble(dir string, m memory) (peer, error) {
	p := &pebblePeer{}
	o := pebbleOptions(m)
	stir := func() { p.busy.Store(time.Now().UnixNano()) }
	o.EventListener = &pebble.EventListener{
		FlushBegin:       func(pebble.FlushInfo) { stir() },
		FlushEnd:         func(pebble.FlushInfo) { stir() },
		CompactionBegin:  func(pebble.CompactionInfo) { stir() },
		CompactionEnd:    func(pebble.CompactionInfo) { stir() },
		TableStatsLoaded: func(pebble.TableStatsInfo) { stir() },
	}
	var err error
	if p.db, err = pebble.Open(dir, o); err != nil {
		return nil, err
	}
	p.batch = p.db.NewBatch()
	return p, nil
}

// quiet is a logger that says nothing of ordinary events.
type quiet struct{}

func (quiet) Infof(string, ...any)              {}
func (quiet) Errorf(format string, args ...any) { pebble.DefaultLogger.Errorf(format, args...) }
func (quiet) Fatalf(format string, args ...any) { pebble.DefaultLogger.Fatalf(format, args...) }

// A batch takes what fits in memory: neither call can fail.
func (p *pebblePeer) set(key, value []byte) { _ = p.batch.Set(key, value, nil) }
func (p *pebblePeer) del(key []byte)        { _ = p.batch.Delete(key, nil) }

func (p *pebblePeer) commit() error {
	if err := p.batch.Commit(pebble.NoSync); err != nil {
		return err
	}
	p.batch.Reset()
	return nil
}

func (p *pebblePeer) delRange(lo, hi []byte) error { return p.db.DeleteRange(lo, hi, pebble.NoSync) }

func (p *pebblePeer) keepOld() error {
	p.old = p.db.NewSnapshot()
	return nil
}

func (p *pebblePeer) flush() error { return p.db.Flush() }

// settle watches: Pebble does not say when nothing is left to do. Its scheduler looks
// for work at least ten times a second, so three such periods without any are rest.
func (p *pebblePeer) settle() (float64, error) {
	const still = 300 * time.Millisecond
	start := time.Now()
	for {
		last := time.Unix(0, p.busy.Load())
		if last.Before(start) {
			last = start
		}
		if wait := still - time.Since(last); wait > 0 {
			time.Sleep(wait)
			continue
		}
		if m := p.db.Metrics(); m.Compact.NumInProgress > 0 || m.Flush.NumInProgress > 0 {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if p.busy.Load() <= last.UnixNano() {
			return last.Sub(start).Seconds(), nil
		}
	}
}

// compact moves everything to the last level.
func (p *pebblePeer) compact() error {
	if err := p.db.Flush(); err != nil {
		return err
	}
	return p.db.Compact(context.Background(), nil, []byte{0xff}, true)
}

func (p *pebblePeer) client() client { return pebbleClient{p.db} }

func (p *pebblePeer) walker() (walker, error) {
	it, err := p.db.NewIter(nil)
	return pebbleWalker{it}, err
}

func (p *pebblePeer) get(dst, key []byte) ([]byte, bool, error) {
	return pebbleClient{p.db}.get(dst, key)
}

// getFiltered is get by the only way that asks the filters of the last level too: an
// iterator, kept open, that seeks whole keys as prefixes. It sees the state of its
// first use.
func (p *pebblePeer) getFiltered(dst, key []byte) ([]byte, bool, error) {
	if p.point == nil {
		var err error
		if p.point, err = p.db.NewIter(&pebble.IterOptions{UseL6Filters: true}); err != nil {
			return dst, false, err
		}
	}
	if !p.point.SeekPrefixGE(key) {
		return dst, false, p.point.Error()
	}
	return append(dst, p.point.Value()...), true, nil
}

func (p *pebblePeer) seek(dst, key []byte) ([]byte, error) {
	it, err := p.db.NewIter(nil)
	if err != nil {
		return nil, err
	}
	var ok bool
	if key == nil {
		ok = it.First()
	} else {
		ok = it.SeekGE(key)
	}
	dst = dst[:0]
	if ok {
		dst = append(dst, it.Key()...)
	}
	return dst, it.Close()
}

func (p *pebblePeer) scan(reverse bool) (t tally, err error) {
	it, err := p.db.NewIter(nil)
	if err != nil {
		return t, err
	}
	if reverse {
		for ok := it.Last(); ok; ok = it.Prev() {
			t.add(it.Key(), it.Value())
		}
	} else {
		for ok := it.First(); ok; ok = it.Next() {
			t.add(it.Key(), it.Value())
		}
	}
	return t, it.Close()
}

func (p *pebblePeer) digest(old bool) (digest, error) {
	var r pebble.Reader = p.db
	if old {
		r = p.old
	}
	return digestPebble(r, p.end)
}

// digestPebble hashes all rows before a key.
func digestPebble(r pebble.Reader, end []byte) (digest, error) {
	it, err := r.NewIter(&pebble.IterOptions{UpperBound: end})
	if err != nil {
		return digest{}, err
	}
	h := newRowHash()
	for ok := it.First(); ok; ok = it.Next() {
		h.add(it.Key(), it.Value())
	}
	return h.sum(), it.Close()
}

func (p *pebblePeer) wrote() (flushed, compacted uint64) {
	m := p.db.Metrics()
	for i := range m.Levels {
		flushed += m.Levels[i].TableBytesFlushed
		compacted += m.Levels[i].TableBytesCompacted
	}
	return flushed, compacted
}

func (p *pebblePeer) hiding() uint64 { return p.db.Metrics().Keys.TombstoneCount }

func (p *pebblePeer) close() error {
	var errs []error
	if p.point != nil {
		errs = append(errs, p.point.Close())
	}
	if p.old != nil {
		errs = append(errs, p.old.Close())
	}
	return errors.Join(append(errs, p.batch.Close(), p.db.Close())...)
}

// pebbleClient writes and reads rows one by one.
type pebbleClient struct{ db *pebble.DB }

func (c pebbleClient) get(dst, key []byte) ([]byte, bool, error) {
	v, closer, err := c.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, v...)
	return dst, true, closer.Close()
}

func (c pebbleClient) put(key, value []byte, sync bool) error {
	if sync {
		return c.db.Set(key, value, pebble.Sync)
	}
	return c.db.Set(key, value, pebble.NoSync)
}

func (c pebbleClient) walk(key []byte, rows int, t *tally) error {
	it, err := c.db.NewIter(nil)
	if err != nil {
		return err
	}
	return errors.Join(pebbleWalker{it}.walk(key, rows, t), it.Close())
}

func (c pebbleClient) close() error { return nil }

// pebbleWalker keeps an iterator.
type pebbleWalker struct{ it *pebble.Iterator }

func (w pebbleWalker) walk(key []byte, rows int, t *tally) error {
	for ok := w.it.SeekGE(key); ok && rows > 0; ok = w.it.Next() {
		t.add(w.it.Key(), w.it.Value())
		rows--
	}
	return w.it.Error()
}

func (w pebbleWalker) close() error { return w.it.Close() }
