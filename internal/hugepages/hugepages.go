package hugepages

import (
	"sync"
	"unsafe"
)

// pageBytes is the size of a large page on the systems that matter. Where it is another
// one, the advice covers other ranges and is as good.
const pageBytes = 2 << 20

// maxTold bounds how many pages the system is told of: 32 GiB of them. Each may split what the
// system knows as one mapping into three, and Linux grants a process 65,530.
const maxTold = 16 << 10

// pages are those of the process that the system has been told of: what an address means
// is the process's, so there is one list of them.
var pages = list{advise: advise}

// list remembers which large pages the system has been told of, 2 MiB that ever held
// something preferred each. They are never taken off it: the runtime gives no address space back.
// It is safe for concurrent use.
type list struct {
	advise func(at, bytes uintptr) bool

	mu    sync.Mutex
	told  map[uintptr]struct{} // by number
	never bool                 // the system has no large pages, or was asked for enough
}

// Prefer asks for large pages where b lies. It does most when b has not been written to
// since it was allocated. It costs a look into a map, and a system call for each page in
// which nothing lay before that was preferred.
func Prefer(b []byte) {
	if len(b) > 0 {
		pages.tell(uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	}
}

// tell tells the system of the pages that the bytes at an address lie in.
func (l *list) tell(at, bytes uintptr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n := at / pageBytes; n <= (at+bytes-1)/pageBytes && !l.never; n++ {
		if _, told := l.told[n]; told {
			continue
		}
		if l.told == nil {
			l.told = map[uintptr]struct{}{}
		}
		l.told[n] = struct{}{}
		l.never = !l.advise(n*pageBytes, pageBytes) || len(l.told) == maxTold
	}
}
