package sstable

import (
	"container/list"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// descriptors keeps at most maxOpen table files open. A descriptor is borrowed
// for one read; when a file must be opened and the limit is reached, the least
// recently used one that nobody borrows is closed, and if all are borrowed the
// caller waits for one. Nobody holds two, so waiting ends.
//
// It is safe for concurrent use. No I/O happens under mu.
type descriptors struct {
	fs      vfs.FS
	dir     string
	maxOpen int

	mu struct {
		sync.Mutex
		changed sync.Cond // a descriptor became free, opened or closed
		waiting int       // on changed
		files   map[ids.FileNum]*descriptor
		recent  list.List // of *descriptor, most recently used first
		closed  bool
	}
}

// descriptor is one open file. It stands in files from before it is opened until
// after it is closed, so that their number bounds the open ones.
type descriptor struct {
	number   ids.FileNum
	file     vfs.File
	borrowed int
	busy     bool // being opened or closed: do not borrow
	place    *list.Element
}

func newDescriptors(fsys vfs.FS, dir string, maxOpen int) *descriptors {
	d := &descriptors{fs: fsys, dir: dir, maxOpen: max(maxOpen, 1)}
	d.mu.changed.L = &d.mu.Mutex
	d.mu.files = map[ids.FileNum]*descriptor{}
	return d
}

// readAt reads len(buf) bytes from an offset inside table m. What the file is
// too short for is corruption; other failures are I/O errors.
func (ds *descriptors) readAt(m *Meta, buf []byte, offsetInTable uint64) error {
	d, err := ds.borrow(m.File)
	if err != nil {
		return err
	}
	defer ds.giveBack(d)
	n, err := d.file.ReadAt(buf, int64(m.Offset+offsetInTable))
	switch {
	case n == len(buf):
		return nil
	case err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return m.corruptf(offsetInTable+uint64(n), "the file ends here, %d bytes too early", len(buf)-n)
	}
	return fmt.Errorf("read %s at %d: %w", ids.TableFileName(m.File), m.Offset+offsetInTable, err)
}

// size gives the length of a file.
func (ds *descriptors) size(n ids.FileNum) (int64, error) {
	d, err := ds.borrow(n)
	if err != nil {
		return 0, err
	}
	defer ds.giveBack(d)
	size, err := d.file.Size()
	if err != nil {
		return 0, fmt.Errorf("size of %s: %w", ids.TableFileName(n), err)
	}
	return size, nil
}

// borrow gives the open descriptor of a file, opening it if needed. It must be
// given back.
func (ds *descriptors) borrow(n ids.FileNum) (*descriptor, error) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for {
		if ds.mu.closed {
			return nil, fmt.Errorf("open %s: tables are closed: %w", ids.TableFileName(n), fs.ErrClosed)
		}
		if d := ds.mu.files[n]; d != nil {
			if d.busy {
				ds.waitLocked()
				continue
			}
			d.borrowed++
			ds.mu.recent.MoveToFront(d.place)
			return d, nil
		}
		if len(ds.mu.files) < ds.maxOpen {
			return ds.openLocked(n)
		}
		if idle := ds.idleLocked(); idle != nil {
			// Nothing was written through it, so its error loses nothing.
			_ = ds.closeLocked(idle)
		} else {
			ds.waitLocked()
		}
	}
}

// openLocked opens file n and borrows it. It lets go of the lock meanwhile.
func (ds *descriptors) openLocked(n ids.FileNum) (*descriptor, error) {
	d := &descriptor{number: n, busy: true, borrowed: 1}
	ds.mu.files[n] = d
	ds.mu.Unlock()
	file, err := ds.fs.Open(path.Join(ds.dir, ids.TableFileName(n)))
	ds.mu.Lock()
	d.busy = false
	ds.wakeLocked()
	if err != nil {
		delete(ds.mu.files, n)
		if errors.Is(err, fs.ErrNotExist) { // only "not there" is damage; "could not look" is not
			return nil, errs.Corruptf(ids.TableFileName(n), -1, "the file is missing")
		}
		return nil, fmt.Errorf("open %s: %w", ids.TableFileName(n), err)
	}
	d.file = file
	d.place = ds.mu.recent.PushFront(d)
	return d, nil
}

// closeLocked closes a descriptor that nobody borrows. It lets go of the lock
// meanwhile.
func (ds *descriptors) closeLocked(d *descriptor) error {
	d.busy = true
	ds.mu.recent.Remove(d.place)
	ds.mu.Unlock()
	err := d.file.Close()
	ds.mu.Lock()
	delete(ds.mu.files, d.number)
	ds.wakeLocked()
	if err != nil {
		return fmt.Errorf("close %s: %w", ids.TableFileName(d.number), err)
	}
	return nil
}

// idleLocked gives the least recently used descriptor that can be closed, nil if
// all are in use.
func (ds *descriptors) idleLocked() *descriptor {
	for e := ds.mu.recent.Back(); e != nil; e = e.Prev() {
		if d := e.Value.(*descriptor); d.borrowed == 0 {
			return d
		}
	}
	return nil
}

func (ds *descriptors) giveBack(d *descriptor) {
	ds.mu.Lock()
	d.borrowed--
	if d.borrowed == 0 {
		ds.wakeLocked()
	}
	ds.mu.Unlock()
}

func (ds *descriptors) waitLocked() {
	ds.mu.waiting++
	ds.mu.changed.Wait()
	ds.mu.waiting--
}

func (ds *descriptors) wakeLocked() {
	if ds.mu.waiting > 0 {
		ds.mu.changed.Broadcast()
	}
}

// forget closes the descriptor of a file if it is open, after waiting for reads
// in flight. A later read would open it again.
func (ds *descriptors) forget(n ids.FileNum) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for {
		d := ds.mu.files[n]
		if d == nil {
			return
		}
		if !d.busy && d.borrowed == 0 {
			_ = ds.closeLocked(d) // read only: nothing to lose
			return
		}
		ds.waitLocked()
	}
}

// close waits for reads in flight and closes everything. Later reads fail.
func (ds *descriptors) close() error {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.mu.closed = true
	ds.wakeLocked()
	var failures []error
	for len(ds.mu.files) > 0 {
		if d := ds.idleLocked(); d != nil {
			if err := ds.closeLocked(d); err != nil {
				failures = append(failures, err)
			}
			continue
		}
		ds.waitLocked()
	}
	return errors.Join(failures...)
}
