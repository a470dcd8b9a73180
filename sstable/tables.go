package sstable

import (
	"fmt"
	"io/fs"
	"sync"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// Tables gives readers of the tables in one directory: each table is opened once
// and shared by everybody. It is safe for concurrent use; concurrent first uses
// of one table wait for one opening of it. A caller that reads a table often
// holds the Reader, which saves it the lock and the map.
type Tables struct {
	files *descriptors
	cache *Cache

	mu struct {
		sync.RWMutex
		open   map[place]*opening
		blocks map[ids.TableID]*sharedBlocks
		closed bool
	}
}

// place names one copy of a table's bytes. While a table is being relocated, old
// views read it at one place and new ones at another.
type place struct {
	id     ids.TableID
	file   ids.FileNum
	offset uint64
}

// opening is a reader, or the promise of one. r and err are set before done is
// closed and not changed after.
type opening struct {
	done chan struct{}
	r    *Reader
	err  error
}

// sharedBlocks is the cached part of a table, for all places of it. readers is
// guarded by Tables.mu; at zero the blocks leave the cache.
type sharedBlocks struct {
	*tableBlocks
	readers int
}

// NewTables makes a Tables over the files in dir. It opens nothing yet.
// maxOpenFiles, at least 1, bounds the descriptors that it holds at any time.
func NewTables(fsys vfs.FS, dir string, cache *Cache, maxOpenFiles int) *Tables {
	t := &Tables{files: newDescriptors(fsys, dir, maxOpenFiles), cache: cache}
	t.mu.open = map[place]*opening{}
	t.mu.blocks = map[ids.TableID]*sharedBlocks{}
	return t
}

func placeOf(m *Meta) place { return place{id: m.ID, file: m.File, offset: m.Offset} }

// Reader gives the reader of table m, opening it at the first call: one or two
// reads, and index and filter stay in memory until Forget. A failed opening is
// not remembered.
func (t *Tables) Reader(m *Meta) (*Reader, error) {
	key := placeOf(m)
	t.mu.RLock()
	o := t.mu.open[key]
	t.mu.RUnlock()
	if o == nil {
		t.mu.Lock()
		if t.mu.closed {
			t.mu.Unlock()
			return nil, fmt.Errorf("open %s: tables are closed: %w", m.name(), fs.ErrClosed)
		}
		if o = t.mu.open[key]; o == nil {
			o = &opening{done: make(chan struct{})}
			t.mu.open[key] = o
			t.mu.Unlock()
			t.fulfil(o, m)
		} else {
			t.mu.Unlock()
		}
	}
	<-o.done
	if o.err != nil {
		return nil, o.err
	}
	// A table was opened against one Meta; this caller's may be another.
	if err := o.r.properties.matches(m); err != nil {
		return nil, m.corruptf(0, "%w", err)
	}
	return o.r, nil
}

// fulfil opens the table and sets the outcome in o.
func (t *Tables) fulfil(o *opening, m *Meta) {
	defer close(o.done)
	r, err := openReader(m, t.files)
	key := placeOf(m)
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted := t.mu.open[key] == o // else Forget or Close came in between
	if err == nil && wanted {
		err = t.shareBlocksLocked(r)
	}
	if err != nil {
		o.err = err
		if wanted {
			delete(t.mu.open, key)
		}
		return
	}
	if !wanted {
		r.blocks = t.cache.newTableBlocks(r.meta.ID, len(r.index.entries))
		r.blocks.drop()
	}
	o.r = r
}

// shareBlocksLocked gives r the table's cached blocks, which it shares with the
// readers of other places.
func (t *Tables) shareBlocksLocked(r *Reader) error {
	s := t.mu.blocks[r.meta.ID]
	if s == nil {
		s = &sharedBlocks{tableBlocks: t.cache.newTableBlocks(r.meta.ID, len(r.index.entries))}
		t.mu.blocks[r.meta.ID] = s
	}
	if len(s.slots) != len(r.index.entries) {
		return r.meta.corruptf(0, "table has %d blocks here and %d elsewhere", len(r.index.entries), len(s.slots))
	}
	s.readers++
	r.blocks = s.tableBlocks
	return nil
}

// Forget drops the reader of table m at its place, and its blocks from the cache
// if the table is open at no other place. Readers and iterators that are held
// keep working, uncached, as long as the file can be opened.
func (t *Tables) Forget(m *Meta) {
	t.mu.Lock()
	o := t.mu.open[placeOf(m)]
	delete(t.mu.open, placeOf(m))
	var unused *sharedBlocks
	if o != nil && o.opened() {
		if s := t.mu.blocks[m.ID]; s != nil {
			if s.readers--; s.readers == 0 {
				delete(t.mu.blocks, m.ID)
				unused = s
			}
		}
	}
	t.mu.Unlock()
	if unused != nil {
		unused.drop()
	}
}

// opened tells whether the opening has succeeded. The caller holds Tables.mu, so
// an opening in flight has yet to ask whether it is still wanted.
func (o *opening) opened() bool { return o.r != nil }

// ForgetFile closes the descriptor of a file, waiting for reads in flight. Call
// it before the file is unlinked, when nothing reads from it any more.
func (t *Tables) ForgetFile(n ids.FileNum) { t.files.forget(n) }

// Close drops all readers and their blocks and closes all descriptors, waiting
// for reads in flight. Later reads from disk fail with fs.ErrClosed.
func (t *Tables) Close() error {
	t.mu.Lock()
	t.mu.closed = true
	blocks := t.mu.blocks
	t.mu.open, t.mu.blocks = nil, nil
	t.mu.Unlock()
	for _, s := range blocks {
		s.drop()
	}
	return t.files.close()
}
