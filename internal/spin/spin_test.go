package spin

import (
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// impatient makes a processor that is alone of this one, where nothing is ever looked at
// again.
func impatient(t *testing.T) {
	before := alone
	alone = true
	t.Cleanup(func() { alone = before })
}

// patient is the opposite: a test machine may have one processor.
func patient(t *testing.T) {
	before := alone
	alone = false
	t.Cleanup(func() { alone = before })
}

func TestPatienceEnds(t *testing.T) {
	patient(t)
	asked := 0
	require.False(t, Patiently(func() bool { asked++; return false }))
	require.Equal(t, looks, asked)

	asked = 0
	require.True(t, Patiently(func() bool { asked++; return asked == 3 }))
	require.Equal(t, 3, asked, "nobody asks on once he has been told")
}

func within(l sync.Locker, section func()) {
	l.Lock()
	defer l.Unlock()
	section()
}

func TestWhoeverIsAloneDoesNotLookAgain(t *testing.T) {
	impatient(t)
	require.False(t, Patiently(func() bool { panic("the holder cannot go on meanwhile") }))
	var m Mutex
	var rw RWMutex
	for range 3 { // the locks work all the same
		within(&m, func() {})
		within(&rw, func() {})
		within(rw.RLocker(), func() {})
	}
}

// Sections of a counter that is no atomic one: two at once lose counts, and the race
// detector tells.
func TestLocksKeepOthersOut(t *testing.T) {
	patient(t)
	const goroutines, rounds = 8, 20_000
	var m Mutex
	var rw RWMutex
	var byMutex, byRW int
	var seen [goroutines]int
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := range rounds {
				m.Lock()
				byMutex++
				m.Unlock()
				if i%4 > 0 {
					rw.RLock()
					seen[g] = max(seen[g], byRW)
					rw.RUnlock()
					continue
				}
				rw.Lock()
				byRW++
				rw.Unlock()
			}
		})
	}
	all.Wait()
	require.Equal(t, goroutines*rounds, byMutex)
	require.Equal(t, goroutines*rounds/4, byRW)
	require.LessOrEqual(t, slices.Max(seen[:]), byRW)
}

// sleeping tells whether a goroutine sleeps in a function of package sync.
func sleeping(function string) bool {
	stacks := make([]byte, 1<<20)
	return strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "sync."+function+"(")
}

func TestWhoeverWaitsForLongSleeps(t *testing.T) {
	patient(t)
	var m Mutex
	var rw RWMutex
	for _, c := range []struct {
		name        string
		take, leave func()
		want, give  func()
		sleeps      string
	}{
		{"a mutex", m.Lock, m.Unlock, m.Lock, m.Unlock, "(*Mutex).Lock"},
		{"a writer behind a reader", rw.RLock, rw.RUnlock, rw.Lock, rw.Unlock, "(*RWMutex).Lock"},
		{"a reader behind a writer", rw.Lock, rw.Unlock, rw.RLock, rw.RUnlock, "(*RWMutex).RLock"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.take()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c.want()
				c.give()
			}()
			for !sleeping(c.sleeps) { // the test's own deadline ends one that never does
				runtime.Gosched()
			}
			select {
			case <-done:
				require.Fail(t, "it did not wait for the holder")
			default:
			}
			c.leave()
			<-done
		})
	}
}

// A writer that sleeps keeps new readers out, or a stream of them would starve it.
func TestAWriterIsNotStarvedByReaders(t *testing.T) {
	patient(t)
	var rw RWMutex
	rw.RLock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		within(&rw, func() {})
	}()
	for !sleeping("(*RWMutex).Lock") {
		runtime.Gosched()
	}
	require.False(t, rw.TryRLock(), "a reader goes before a writer that has waited for long")
	rw.RUnlock()
	<-done
}

// Where somebody always reads, a writer that only looked whether nobody does would seldom
// get the lock.
func TestReadersStandBackForAWriterThatIsPatient(t *testing.T) {
	patient(t)
	var rw RWMutex
	rw.wanted.Store(true)
	require.False(t, rw.tryRead(), "the lock is free, but a writer wants it")
	within(rw.RLocker(), func() {}) // they do not stand back for ever

	rw.wanted.Store(false)
	within(&rw, func() {})
	require.False(t, rw.wanted.Load())
	rw.RLock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		within(&rw, func() {})
	}()
	for !sleeping("(*RWMutex).Lock") {
		runtime.Gosched()
	}
	require.False(t, rw.wanted.Load(), "who sleeps keeps readers out without it")
	rw.RUnlock()
	<-done
}
