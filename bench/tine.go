package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/tinedb/tine/engine"
)

// tinePeer is this project's store: its main fork, and a fork of it as old state.
type tinePeer struct {
	store     *engine.Store
	main, old *engine.Fork
	batch     *engine.Batch
}

func openTine(dir string, m memory) (peer, error) {
	p, err := openTineWith(dir, tineOptions(m))
	if err != nil {
		return nil, err
	}
	return p, nil
}

// tineOptions leaves what is not given at its default. The indexes and filters of tables
// have a cache of their own here, and lie with the blocks there: both get the same in
// all. They take about 1.5 bytes a row.
func tineOptions(m memory) *engine.Options {
	tables := min(m.cacheBytes/8, 128<<20)
	if m.rows > 0 {
		tables = min(tables, 2*int64(m.rows))
	}
	return &engine.Options{CacheBytes: m.cacheBytes - tables, TableCacheBytes: tables, MemtableBytes: m.memtableBytes, Manual: m.still}
}

func tineSettings(m memory) string {
	o := tineOptions(m)
	return fmt.Sprintf("CacheBytes=%d TableCacheBytes=%d MemtableBytes=%d Manual=%v; all other options at their defaults",
		o.CacheBytes, o.TableCacheBytes, o.MemtableBytes, o.Manual)
}

func openTineWith(dir string, o *engine.Options) (*tinePeer, error) {
	s, err := engine.Open(dir, o)
	if err != nil {
		return nil, err
	}
	f, err := s.Fork(engine.MainFork)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return &tinePeer{store: s, main: f, batch: s.NewBatch()}, nil
}

func (p *tinePeer) set(key, value []byte) { p.batch.Set(p.main, key, value) }
func (p *tinePeer) del(key []byte)        { p.batch.Delete(p.main, key) }
func (p *tinePeer) commit() error         { return p.batch.Commit(engine.NoSync) }

func (p *tinePeer) delRange(lo, hi []byte) error { return p.main.DeleteRange(lo, hi, engine.NoSync) }

func (p *tinePeer) keepOld() (err error) {
	p.old, err = p.main.Fork("old", engine.NoSync)
	return err
}

func (p *tinePeer) flush() error { return p.store.Flush() }

func (p *tinePeer) settle() (float64, error) {
	start := time.Now()
	err := p.store.Settle()
	return time.Since(start).Seconds(), err
}

func (p *tinePeer) compact() error { return p.store.Compact() }

func (p *tinePeer) client() client { return tineClient{p.main} }

func (p *tinePeer) walker() (walker, error) {
	it, err := p.main.NewIter(engine.Range{})
	return tineWalker{it}, err
}

func (p *tinePeer) get(dst, key []byte) ([]byte, bool, error) {
	return tineClient{p.main}.get(dst, key)
}

func (p *tinePeer) seek(dst, key []byte) ([]byte, error) {
	it, err := p.main.NewIter(engine.Range{})
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

func (p *tinePeer) scan(reverse bool) (t tally, err error) {
	it, err := p.main.NewIter(engine.Range{})
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

func (p *tinePeer) digest(old bool) (digest, error) {
	f := p.main
	if old {
		f = p.old
	}
	it, err := f.NewIter(engine.Range{})
	if err != nil {
		return digest{}, err
	}
	h := newRowHash()
	for ok := it.First(); ok; ok = it.Next() {
		h.add(it.Key(), it.Value())
	}
	return h.sum(), it.Close()
}

func (p *tinePeer) wrote() (flushed, compacted uint64) {
	s := p.store.Stats()
	return s.BytesFlushed, s.BytesMerged
}

func (p *tinePeer) hiding() uint64 { return p.store.Stats().MarkedRows }

func (p *tinePeer) close() error { return p.store.Close() }

// tineClient writes and reads one fork.
type tineClient struct{ f *engine.Fork }

func (c tineClient) get(dst, key []byte) ([]byte, bool, error) {
	v, err := c.f.AppendGet(dst, key)
	if errors.Is(err, engine.ErrNotFound) {
		return v, false, nil
	}
	return v, err == nil, err
}

func (c tineClient) put(key, value []byte, sync bool) error {
	if sync {
		return c.f.Set(key, value)
	}
	return c.f.Set(key, value, engine.NoSync)
}

func (c tineClient) walk(key []byte, rows int, t *tally) error {
	it, err := c.f.NewIter(engine.Range{})
	if err != nil {
		return err
	}
	return errors.Join(tineWalker{it}.walk(key, rows, t), it.Close())
}

func (c tineClient) close() error { return nil }

// tineWalker keeps an iterator.
type tineWalker struct{ it *engine.Iterator }

func (w tineWalker) walk(key []byte, rows int, t *tally) error {
	for ok := w.it.SeekGE(key); ok && rows > 0; ok = w.it.Next() {
		t.add(w.it.Key(), w.it.Value())
		rows--
	}
	return w.it.Error()
}

func (w tineWalker) close() error { return w.it.Close() }
