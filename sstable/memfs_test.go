package sstable

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// memFS holds table files in memory and counts the open descriptors.
type memFS struct {
	vfs.FS // what a reader must not call panics

	mu      sync.Mutex
	files   map[string][]byte
	open    map[string]int
	nowOpen int
	mostOpen,
	opened int
	failOpen, failRead error
	failClose          error
	onRead             func() // called before each read, without the lock
	onOpen             func() // called before each opening, likewise
}

func newMemFS() *memFS {
	return &memFS{files: map[string][]byte{}, open: map[string]int{}}
}

func (m *memFS) put(n ids.FileNum, content []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path.Join("db", ids.TableFileName(n))] = content
}

// remove takes a file away as unlinking does: whoever opens it now finds nothing.
func (m *memFS) remove(n ids.FileNum) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, path.Join("db", ids.TableFileName(n)))
}

// flip inverts one byte of a file.
func (m *memFS) flip(n ids.FileNum, at int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[path.Join("db", ids.TableFileName(n))][at] ^= 0xff
}

func (m *memFS) Open(name string) (vfs.File, error) {
	if m.onOpen != nil {
		m.onOpen()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.files[name]
	if m.failOpen != nil {
		return nil, m.failOpen
	}
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	m.open[name]++
	m.opened++
	m.nowOpen++
	m.mostOpen = max(m.mostOpen, m.nowOpen)
	return &memFile{fs: m, name: name, content: content}, nil
}

func (m *memFS) openNow() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.nowOpen
}

type memFile struct {
	vfs.File
	fs      *memFS
	name    string
	content []byte
	closed  bool
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	onRead, failRead, closed := f.fs.onRead, f.fs.failRead, f.closed
	f.fs.mu.Unlock()
	if onRead != nil {
		onRead()
	}
	if failRead != nil {
		return 0, failRead
	}
	if closed {
		return 0, errors.New("read of a closed file")
	}
	return bytes.NewReader(f.content).ReadAt(p, off)
}

func (f *memFile) Size() (int64, error) { return int64(len(f.content)), nil }

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return errors.New("closed twice")
	}
	f.closed = true
	f.fs.open[f.name]--
	f.fs.nowOpen--
	return f.fs.failClose
}

// openBytes opens the one table in content, which is file 1.
func openBytes(content []byte, m *Meta, cacheBytes int64) (*Reader, error) {
	fsys := newMemFS()
	fsys.put(m.File, content)
	return NewTables(fsys, "db", NewCache(cacheBytes), 4).Reader(m)
}

func mustOpen(t testing.TB, content []byte, m *Meta, cacheBytes int64) *Reader {
	t.Helper()
	r, err := openBytes(content, m, cacheBytes)
	require.NoError(t, err)
	return r
}
