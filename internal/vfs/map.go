package vfs

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unsafe"
)

// maxStored is the longest write that is made as a store. A page that is touched for
// the first time costs a fault, which for longer writes is as dear as a call.
const maxStored = 2 << 10

// callsBehindSync is how many writes behind a sync are made as calls.
const callsBehindSync = 8

// pageBytes is the size of the system's pages.
var pageBytes = os.Getpagesize()

// mapping is memory that the process shares with the operating system's cache of a
// file. A store into it costs some 50 ns where a call costs 700, and it is as safe from
// the death of the process: the page belongs to the system from the moment of the store,
// and a sync of the file writes it. The file owns it. It may be used concurrently.
//
// The first store to a page, and the first one after the page was written to the disk, is a
// fault, in which the system may wait for the disk. A goroutine that waits in a fault keeps its
// processor, and whoever wants to stop all goroutines waits with it: a slow disk would stop
// those who only read. So pages are made ready by a call before they are stored to, and
// while the file is synced nothing is stored.
type mapping struct {
	// mu is held for reading during a store: memory must not be given back meanwhile,
	// since somebody else could get it.
	mu    sync.RWMutex
	bytes []byte // nil once it was given back
	syncs int    // that are under way
	ready span   // of bytes, whole pages: made ready since the last sync began

	// calls is how many writes are still to be made as calls since the last sync: who syncs
	// after each few would pay more for a page made ready than for those.
	calls atomic.Int32

	prepare func([]byte) error // makes pages ready; it may wait for the disk
}

// span is the bytes from first on up to end.
type span struct{ first, end int }

// newMapping maps the first size bytes of f, or gives nil if the system does not, or
// cannot make pages ready.
func newMapping(f *os.File, size int) *mapping {
	b, err := mapShared(f, size)
	if err != nil {
		return nil
	}
	m := &mapping{bytes: b, prepare: populate}
	if !m.makeReady(span{0, 1}) {
		m.end()
		return nil
	}
	return m
}

// store copies p into the file at off. It is false if p does not lie in the mapped part,
// or the file is being synced or was a few writes ago, or the system had no page for all of
// it; then any bytes of p may have been stored.
func (m *mapping) store(p []byte, off int64) bool {
	if m.calls.Load() > 0 && m.calls.Add(-1) >= 0 {
		return false
	}
	want := span{int(off), int(off) + len(p)}
	for range 2 {
		m.mu.RLock()
		if off < 0 || off > int64(len(m.bytes)) || len(p) > len(m.bytes)-int(off) {
			m.mu.RUnlock()
			return false
		}
		if m.ready.first <= want.first && want.end <= m.ready.end {
			stored := copyUnlessFault(m.bytes[off:][:len(p)], p)
			m.mu.RUnlock()
			return stored
		}
		m.mu.RUnlock()
		if !m.makeReady(want) {
			return false
		}
	}
	return false // others are at other places of the file, or a sync has begun
}

// makeReady makes the pages in which the bytes of want lie ready for stores, and tells
// whether they are.
func (m *mapping) makeReady(want span) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := want.first / pageBytes * pageBytes
	end := min((want.end+pageBytes-1)/pageBytes*pageBytes, len(m.bytes))
	if m.syncs > 0 || want.end > len(m.bytes) || first == end {
		return false
	}
	if m.ready.first <= first && first < m.ready.end {
		first = m.ready.end // the pages before are ready
	}
	if first < end {
		if m.prepare(m.bytes[first:end]) != nil {
			return false
		}
	}
	if first != m.ready.end {
		m.ready.first = first
	}
	m.ready.end = max(end, first)
	return true
}

// beginSync keeps stores away while the file is synced, until endSync: what is written to the disk
// has to be made ready again.
func (m *mapping) beginSync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.syncs++
	m.ready = span{}
	m.calls.Store(callsBehindSync)
}

func (m *mapping) endSync() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.syncs--
}

// end gives the memory back. Later stores are refused.
func (m *mapping) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	unmap(m.bytes)
	m.bytes = nil
}

// copyUnlessFault copies src into dst, which is mapped. The system tells by a signal
// that it has no page: the file was cut short, the disk failed, or a file system that
// never writes in place has no room. Without care that ends the process.
func copyUnlessFault(dst, src []byte) (ok bool) {
	if len(src) == 0 {
		return true
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if !isFaultIn(dst, r) {
				panic(r)
			}
			ok = false
		}
	}()
	copy(dst, src)
	return true
}

// isFaultIn tells whether a panic is about memory of b.
func isFaultIn(b []byte, panicked any) bool {
	fault, is := panicked.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !is {
		return false
	}
	first := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return fault.Addr() >= first && fault.Addr()-first < uintptr(len(b))
}
