package vfs

import (
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"unsafe"
)

// maxStored is the longest write that is made as a store. A page that is touched for
// the first time costs a fault, which for longer writes is as dear as a call.
const maxStored = 2 << 10

// mapping is memory that the process shares with the operating system's cache of a
// file. A store into it costs some 50 ns where a call costs 700, and it is as safe from
// the death of the process: the page belongs to the system from the moment of the store,
// and a sync of the file writes it. The file owns it. It may be used concurrently.
type mapping struct {
	// mu is held for reading during a store: memory must not be given back meanwhile,
	// since somebody else could get it.
	mu    sync.RWMutex
	bytes []byte // nil once it was given back
}

// newMapping maps the first size bytes of f, or gives nil if the system does not.
func newMapping(f *os.File, size int) *mapping {
	b, err := mapShared(f, size)
	if err != nil {
		return nil
	}
	return &mapping{bytes: b}
}

// store copies p into the file at off. It is false if p does not lie in the mapped part
// or the system had no page for all of it; then any bytes of p may have been stored.
func (m *mapping) store(p []byte, off int64) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if off < 0 || off > int64(len(m.bytes)) || len(p) > len(m.bytes)-int(off) {
		return false
	}
	return copyUnlessFault(m.bytes[off:][:len(p)], p)
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
