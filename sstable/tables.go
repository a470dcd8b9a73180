package sstable

import (
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// Tables gives readers of the tables in one directory: each table is opened once
// and shared by everybody. It is safe for concurrent use; concurrent first uses
// of one table wait for one opening of it. A caller that reads a table often
// holds the Reader, which saves it the lock and the map. The readers that are kept
// for the next caller may be bounded, see LimitReaders.
type Tables struct {
	files *descriptors
	cache *Cache

	mu struct {
		sync.RWMutex
		open   map[ids.TableID]*opening
		kept   readerRing // of those whose opening has succeeded
		closed bool
	}
}

// opening is a reader, or the promise of one. r and err are set before done is
// closed and not changed after.
type opening struct {
	id    ids.TableID
	done  chan struct{}
	r     *Reader
	err   error
	ready atomic.Pointer[Reader] // r once done is closed: even a closed channel costs a lock

	next, previous *opening // in the ring; nil when not in it
}

// NewTables makes a Tables over the files in dir. It opens nothing yet.
// maxOpenFiles, at least 1, bounds the descriptors that it holds at any time.
func NewTables(fsys vfs.FS, dir string, cache *Cache, maxOpenFiles int) *Tables {
	t := &Tables{files: newDescriptors(fsys, dir, maxOpenFiles), cache: cache}
	t.mu.open = map[ids.TableID]*opening{}
	return t
}

// Reader is ReaderAt for a table that is never moved.
func (t *Tables) Reader(m *Meta) (*Reader, error) { return t.reader(m, nil) }

// ReaderAt gives the reader of the table that lies at p, opening it at the first
// call: one or two reads, and index and filter stay in memory until Forget. A failed
// opening is not remembered. The reader goes on when the table is moved. All who ask
// for a table should have the same p: who has another one opens it for himself.
// While the reader is kept, that is one access to memory.
func (t *Tables) ReaderAt(p *Place) (*Reader, error) {
	if r := p.reader.Load(); r != nil {
		r.use()
		return r, nil
	}
	return t.reader(p.Meta(), p)
}

func (t *Tables) reader(m *Meta, p *Place) (*Reader, error) {
	t.mu.RLock()
	o := t.mu.open[m.ID]
	t.mu.RUnlock()
	if o == nil {
		t.mu.Lock()
		if t.mu.closed {
			t.mu.Unlock()
			return nil, fmt.Errorf("open %s: tables are closed: %w", m.name(), fs.ErrClosed)
		}
		if o = t.mu.open[m.ID]; o == nil {
			if p == nil {
				p = NewPlace(*m)
			}
			o = &opening{id: m.ID, done: make(chan struct{})}
			t.mu.open[m.ID] = o
			t.mu.Unlock()
			t.fulfil(o, p)
		} else {
			t.mu.Unlock()
		}
	}
	if o.ready.Load() == nil {
		<-o.done
		if o.err != nil {
			return nil, o.err
		}
	}
	o.r.use()
	if o.r.place == p {
		return o.r, nil
	}
	// A table was opened against one Meta; this caller's may be another.
	if err := o.r.properties.matches(m); err != nil {
		return nil, m.corruptf(0, "%w", err)
	}
	if p == nil {
		if at := o.r.place.Meta(); at.File == m.File && at.Offset == m.Offset {
			return o.r, nil
		}
		p = NewPlace(*m)
	}
	return t.another(o.r, p)
}

// another opens a table at a place that is not the one by which it is open. Only the
// cached blocks are shared.
func (t *Tables) another(open *Reader, p *Place) (*Reader, error) {
	r, err := openPlace(p, t.files)
	if err != nil {
		return nil, err
	}
	if len(r.index.entries) != len(open.index.entries) {
		return nil, p.Meta().corruptf(0, "table has %d blocks here and %d elsewhere", len(r.index.entries), len(open.index.entries))
	}
	r.blocks = open.blocks
	return r, nil
}

// fulfil opens the table and sets the outcome in o.
func (t *Tables) fulfil(o *opening, p *Place) {
	defer close(o.done)
	r, err := openPlace(p, t.files)
	dropBlocks(t.outcome(o, r, err))
	o.ready.Store(o.r)
}

// outcome sets the outcome in o and gives the blocks of the readers that are not kept.
func (t *Tables) outcome(o *opening, r *Reader, err error) (unused []*tableBlocks) {
	t.mu.Lock()
	defer t.mu.Unlock()
	wanted := t.mu.open[o.id] == o // else Forget or Close came in between
	if err != nil {
		o.err = err
		if wanted {
			delete(t.mu.open, o.id)
		}
		return nil
	}
	r.blocks = t.cache.newTableBlocks(o.id, len(r.index.entries))
	o.r = r
	if !wanted {
		return []*tableBlocks{r.blocks}
	}
	t.mu.kept.insert(o)
	r.place.reader.Store(r)
	return t.evictLocked(o)
}

// Forget drops the reader of table m, and its blocks from the cache. Readers and
// iterators that are held keep working, uncached, as long as the file can be opened.
func (t *Tables) Forget(m *Meta) {
	dropBlocks(t.forget(m.ID))
}

func (t *Tables) forget(id ids.TableID) []*tableBlocks {
	t.mu.Lock()
	defer t.mu.Unlock()
	o := t.mu.open[id]
	if o == nil {
		return nil
	}
	return t.letGoLocked(o)
}

// letGoLocked takes a reader, or the promise of one, out of what is kept, and gives
// its blocks, if it has any. An opening in flight will ask whether it is still wanted.
func (t *Tables) letGoLocked(o *opening) []*tableBlocks {
	delete(t.mu.open, o.id)
	if o.r == nil {
		return nil
	}
	t.mu.kept.remove(o)
	o.r.place.reader.Store(nil)
	return []*tableBlocks{o.r.blocks}
}

func dropBlocks(unused []*tableBlocks) {
	for _, b := range unused {
		b.drop()
	}
}

// ForgetFile closes the descriptor of a file, waiting for reads in flight. Call
// it before the file is unlinked, when nothing reads from it any more.
func (t *Tables) ForgetFile(n ids.FileNum) { t.files.forget(n) }

// Close drops all readers and their blocks and closes all descriptors, waiting
// for reads in flight. Later reads from disk fail with fs.ErrClosed.
func (t *Tables) Close() error {
	t.mu.Lock()
	t.mu.closed = true
	var unused []*tableBlocks
	for _, o := range t.mu.open {
		unused = append(unused, t.letGoLocked(o)...)
	}
	t.mu.Unlock()
	dropBlocks(unused)
	return t.files.close()
}
