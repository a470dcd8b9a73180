package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// boltPeer is bbolt: a B+tree in one file, which the system caches.
type boltPeer struct {
	plainOnly
	pending
	db      *bolt.DB
	clients atomic.Int32
}

// bboltOptions spare bbolt what it can rebuild (the list of free pages) and moving its
// map while it grows. Its cache is the system's, so it is not bounded.
func bboltOptions(m memory) *bolt.Options {
	return &bolt.Options{
		Timeout: time.Second, NoSync: !m.synced, NoGrowSync: !m.synced, NoFreelistSync: true,
		FreelistType: bolt.FreelistMapType, InitialMmapSize: 16 << 30,
	}
}

func bboltSettings(m memory) string {
	o := bboltOptions(m)
	return fmt.Sprintf("NoSync=%v NoGrowSync=%v NoFreelistSync=%v FreelistType=%s InitialMmapSize=%d; several durable writers by DB.Batch; cached by the system",
		o.NoSync, o.NoGrowSync, o.NoFreelistSync, o.FreelistType, o.InitialMmapSize)
}

var boltBucket = []byte("rows")

func openBbolt(dir string, m memory) (peer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	db, err := bolt.Open(filepath.Join(dir, "bolt.db"), 0o644, bboltOptions(m))
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(boltBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &boltPeer{db: db}, nil
}

func (p *boltPeer) commit() error {
	defer p.reset()
	return p.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket(boltBucket)
		for i, k := range p.keys {
			if err := b.Put(k, p.values[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// What is committed is in the file, and nothing is merged later.
func (p *boltPeer) flush() error             { return nil }
func (p *boltPeer) settle() (float64, error) { return 0, nil }
func (p *boltPeer) compact() error           { return nil }

func (p *boltPeer) get(dst, key []byte) (value []byte, found bool, err error) {
	err = p.db.View(func(tx *bolt.Tx) error {
		v := tx.Bucket(boltBucket).Get(key)
		dst, found = append(dst, v...), v != nil
		return nil
	})
	return dst, found, err
}

func (p *boltPeer) scan(reverse bool) (t tally, err error) {
	err = p.db.View(func(tx *bolt.Tx) error {
		c := tx.Bucket(boltBucket).Cursor()
		first, next := c.First, c.Next
		if reverse {
			first, next = c.Last, c.Prev
		}
		for k, v := first(); k != nil; k, v = next() {
			t.add(k, v)
		}
		return nil
	})
	return t, err
}

func (p *boltPeer) digest(old bool) (digest, error) {
	if old {
		return digest{}, errPlainOnly
	}
	h := newRowHash()
	err := p.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(boltBucket).ForEach(func(k, v []byte) error {
			h.add(k, v)
			return nil
		})
	})
	return h.sum(), err
}

func (p *boltPeer) close() error { return p.db.Close() }

func (p *boltPeer) client() client {
	p.clients.Add(1)
	return boltClient{p}
}

// boltClient uses a transaction for each operation.
type boltClient struct{ p *boltPeer }

func (c boltClient) get(dst, key []byte) ([]byte, bool, error) { return c.p.get(dst, key) }

// put lets durable writes share a transaction where several goroutines write.
func (c boltClient) put(key, value []byte, sync bool) error {
	do := c.p.db.Update
	if sync && c.p.clients.Load() > 1 {
		do = c.p.db.Batch
	}
	return do(func(tx *bolt.Tx) error { return tx.Bucket(boltBucket).Put(key, value) })
}

func (c boltClient) walk(key []byte, rows int, t *tally) error {
	return c.p.db.View(func(tx *bolt.Tx) error { return walkBolt(tx.Bucket(boltBucket).Cursor(), key, rows, t) })
}

func (c boltClient) close() error {
	c.p.clients.Add(-1)
	return nil
}

func (p *boltPeer) walker() (walker, error) {
	tx, err := p.db.Begin(false)
	if err != nil {
		return nil, err
	}
	return boltWalker{tx, tx.Bucket(boltBucket).Cursor()}, nil
}

// boltWalker keeps a transaction and its cursor.
type boltWalker struct {
	tx *bolt.Tx
	c  *bolt.Cursor
}

func (w boltWalker) walk(key []byte, rows int, t *tally) error { return walkBolt(w.c, key, rows, t) }
func (w boltWalker) close() error                              { return w.tx.Rollback() }

func walkBolt(c *bolt.Cursor, key []byte, rows int, t *tally) error {
	for k, v := c.Seek(key); k != nil && rows > 0; k, v = c.Next() {
		t.add(k, v)
		rows--
	}
	return nil
}
