package main

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// badgerPeer is Badger: an LSM tree which keeps long values apart; these are not.
type badgerPeer struct {
	plainOnly
	pending
	db     *badger.DB
	dir    string
	memory memory
}

// badgerOptions keep indexes and filters in memory, values in the tables, one version of
// each, and no track of conflicts.
func badgerOptions(dir string, m memory) badger.Options {
	o := badger.DefaultOptions(dir).WithLogger(nil).WithSyncWrites(m.synced).
		WithMemTableSize(m.memtableBytes).WithBlockCacheSize(m.cacheBytes).WithIndexCacheSize(0).
		WithCompression(options.Snappy).WithDetectConflicts(false).WithMetricsEnabled(false).
		WithValueThreshold(32 << 10).WithValueLogFileSize(64 << 20)
	if m.still {
		o = o.WithNumCompactors(0)
	}
	return o
}

func badgerSettings(m memory) string {
	o := badgerOptions("", m)
	return fmt.Sprintf("SyncWrites=%v MemTableSize=%d BlockCacheSize=%d IndexCacheSize=0 Compression=snappy DetectConflicts=false ValueThreshold=%d NumCompactors=%d; all other options at their defaults",
		o.SyncWrites, o.MemTableSize, o.BlockCacheSize, o.ValueThreshold, o.NumCompactors)
}

func openBadger(dir string, m memory) (peer, error) {
	db, err := badger.Open(badgerOptions(dir, m))
	if err != nil {
		return nil, err
	}
	return &badgerPeer{db: db, dir: dir, memory: m}, nil
}

func (p *badgerPeer) commit() error {
	defer p.reset()
	b := p.db.NewWriteBatch()
	for i, k := range p.keys {
		if err := b.Set(k, p.values[i]); err != nil {
			b.Cancel()
			return err
		}
	}
	return b.Flush()
}

// flush closes the store and opens it again: there is no other way to it.
func (p *badgerPeer) flush() error {
	if err := p.db.Close(); err != nil {
		return err
	}
	var err error
	p.db, err = badger.Open(badgerOptions(p.dir, p.memory))
	return err
}

// settle waits until the levels have been the same for a while.
func (p *badgerPeer) settle() (float64, error) {
	start := time.Now()
	last, seen := start, p.db.Levels()
	for time.Since(last) < 500*time.Millisecond {
		time.Sleep(20 * time.Millisecond)
		if now := p.db.Levels(); !reflect.DeepEqual(now, seen) {
			last, seen = time.Now(), now
		}
	}
	return last.Sub(start).Seconds(), nil
}

func (p *badgerPeer) compact() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.db.Flatten(2)
}

func (p *badgerPeer) client() client { return badgerClient{p} }

func (p *badgerPeer) get(dst, key []byte) (value []byte, found bool, err error) {
	err = p.db.View(func(tx *badger.Txn) error {
		item, err := tx.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		found = true
		return item.Value(func(v []byte) error {
			dst = append(dst, v...)
			return nil
		})
	})
	return dst, found, err
}

func (p *badgerPeer) scan(reverse bool) (t tally, err error) {
	w := p.newWalker(reverse)
	for w.it.Rewind(); w.it.Valid(); w.it.Next() {
		if err := w.add(&t); err != nil {
			return t, errors.Join(err, w.close())
		}
	}
	return t, w.close()
}

func (p *badgerPeer) digest(old bool) (digest, error) {
	if old {
		return digest{}, errPlainOnly
	}
	h := newRowHash()
	w := p.newWalker(false)
	for w.it.Rewind(); w.it.Valid(); w.it.Next() {
		if err := w.add(&tally{hash: h}); err != nil {
			return digest{}, errors.Join(err, w.close())
		}
	}
	return h.sum(), w.close()
}

func (p *badgerPeer) close() error { return p.db.Close() }

// badgerClient uses a transaction for each operation.
type badgerClient struct{ p *badgerPeer }

func (c badgerClient) get(dst, key []byte) ([]byte, bool, error) { return c.p.get(dst, key) }

func (c badgerClient) put(key, value []byte, _ bool) error {
	return c.p.db.Update(func(tx *badger.Txn) error { return tx.Set(key, value) })
}

func (c badgerClient) walk(key []byte, rows int, t *tally) error {
	w := c.p.newWalker(false)
	return errors.Join(w.walk(key, rows, t), w.close())
}

func (c badgerClient) close() error { return nil }

func (p *badgerPeer) walker() (walker, error) { return p.newWalker(false), nil }

// badgerWalker keeps a transaction and its iterator. Values lie beside the keys, so that
// there is nothing to fetch ahead.
type badgerWalker struct {
	tx *badger.Txn
	it *badger.Iterator
}

func (p *badgerPeer) newWalker(reverse bool) badgerWalker {
	tx := p.db.NewTransaction(false)
	return badgerWalker{tx, tx.NewIterator(badger.IteratorOptions{Reverse: reverse})}
}

func (w badgerWalker) walk(key []byte, rows int, t *tally) error {
	for w.it.Seek(key); rows > 0 && w.it.Valid(); w.it.Next() {
		if err := w.add(t); err != nil {
			return err
		}
		rows--
	}
	return nil
}

func (w badgerWalker) add(t *tally) error {
	item := w.it.Item()
	return item.Value(func(v []byte) error {
		t.add(item.Key(), v)
		return nil
	})
}

func (w badgerWalker) close() error {
	w.it.Close()
	w.tx.Discard()
	return nil
}
