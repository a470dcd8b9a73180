package spin

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Patience: so many looks, between which there are pauses of 2, 4, 8 … turns of an empty
// loop, up to longestPause. In all that is 5 to 10 µs.
const (
	looks        = 80
	longestPause = 256
)

// alone says that whoever holds a lock cannot go on while another looks whether it is
// free.
var alone = runtime.GOMAXPROCS(0) == 1

// Patiently asks until it is told true, but not for long, and tells whether it was.
// ask must not block.
func Patiently(ask func() bool) bool {
	if alone {
		return false
	}
	pause := 2
	for range looks {
		for range pause {
		}
		if ask() {
			return true
		}
		pause = min(2*pause, longestPause)
	}
	return false
}

// Mutex is a sync.Mutex whose Lock is patient.
type Mutex struct{ sync.Mutex }

// Lock locks m.
func (m *Mutex) Lock() {
	if m.TryLock() || Patiently(m.TryLock) {
		return
	}
	m.Mutex.Lock()
}

// RWMutex is a sync.RWMutex whose Lock and RLock are patient.
type RWMutex struct {
	sync.RWMutex
	wanted atomic.Bool // a writer looks again and again: new readers let it pass
}

// Lock locks m for writing. While it is patient new readers stand back, as they do for one
// that sleeps: where many read, there is hardly a moment in which nobody does.
func (m *RWMutex) Lock() {
	if m.TryLock() {
		return
	}
	m.wanted.Store(true)
	locked := Patiently(m.TryLock)
	m.wanted.Store(false)
	if !locked {
		m.RWMutex.Lock()
	}
}

// RLock locks m for reading.
func (m *RWMutex) RLock() {
	if m.tryRead() || Patiently(m.tryRead) {
		return
	}
	m.RWMutex.RLock() // the writer may have lost its processor
}

func (m *RWMutex) tryRead() bool { return !m.wanted.Load() && m.TryRLock() }
