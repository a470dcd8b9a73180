package wal

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tinedb/tine/internal/ids"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// eventually spins until a condition holds that another goroutine brings about.
func eventually(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}

// gate lets a test stop the log's fsyncs. It is open until shut.
type gate struct {
	entered chan struct{} // one for each fsync that found the gate shut
	release chan struct{}
	shut    atomic.Bool
	waiting atomic.Bool // for the test's own use
}

func newGate() *gate {
	return &gate{entered: make(chan struct{}, 100), release: make(chan struct{})}
}

func (g *gate) pass(string) error {
	if g.shut.Load() {
		g.entered <- struct{}{}
		<-g.release
	}
	return nil
}

func TestOneFsyncServesAllWhoCameDuringTheLastOne(t *testing.T) {
	const followers = 20
	g := newGate()
	var writes, syncs atomic.Int64
	fs := &hookFS{FS: newDir(t)}
	fs.onSync = func(name string) error { syncs.Add(1); return g.pass(name) }
	fs.onWrite = func(_ string, _ int64, data []byte) error {
		if !allZero(data) {
			writes.Add(1)
		}
		return nil
	}
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	writes.Store(0)
	syncs.Store(0)

	g.shut.Store(true)
	var wait sync.WaitGroup
	put(t, l, 1, 100)
	wait.Go(func() { require.NoError(t, l.Sync(1)) })
	<-g.entered // the first fsync runs
	for lsn := ids.LSN(2); lsn < 2+followers; lsn++ {
		put(t, l, lsn, 100)
		wait.Go(func() {
			require.NoError(t, l.Sync(lsn))
			require.GreaterOrEqual(t, l.Durable(), lsn)
		})
	}
	eventually(func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.syncers == followers
	})
	require.EqualValues(t, 0, l.Durable(), "nothing is durable while the fsync runs")
	require.EqualValues(t, 1, l.Written(), "followers are written by the next leader")
	g.release <- struct{}{}
	<-g.entered
	require.EqualValues(t, 1, l.Durable(), "the first fsync vouches for what was written before it")
	g.shut.Store(false)
	close(g.release)
	wait.Wait()
	require.EqualValues(t, 2, syncs.Load())
	require.EqualValues(t, 2, writes.Load())
	require.NoError(t, l.Close())
}

func TestWriteDoesNotWaitForARunningFsyncAndIsNotCoveredByIt(t *testing.T) {
	g := newGate()
	mem := newDir(t)
	fs := &hookFS{FS: mem, onSync: g.pass}
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	g.shut.Store(true)
	put(t, l, 1, 100)
	done := make(chan error)
	go func() { done <- l.Sync(1) }()
	<-g.entered
	put(t, l, 2, 100)
	require.NoError(t, l.Write(2))
	require.EqualValues(t, 2, l.Written())
	lsns, rec, err := replayed(mem.AfterKill(), 1)
	require.NoError(t, err)
	require.Equal(t, upTo(2), lsns)
	require.EqualValues(t, headerBytes, rec.tail.proven, "the mark ahead of the second group claims nothing of the first")
	g.release <- struct{}{}
	require.NoError(t, <-done)
	require.EqualValues(t, 1, l.Durable())
	g.shut.Store(false)
	require.NoError(t, l.Sync(2))
	require.NoError(t, l.Close())
}

func TestAWaitingSyncIsNotStarvedByWrites(t *testing.T) {
	// A write runs, a Sync waits to lead, and a Write comes.
	var block atomic.Bool
	entered, release := make(chan struct{}), make(chan struct{})
	fs := &hookFS{FS: newDir(t)}
	fs.onWrite = func(string, int64, []byte) error {
		if block.CompareAndSwap(true, false) {
			entered <- struct{}{}
			<-release
		}
		return nil
	}
	var syncs atomic.Int64
	fs.onSync = func(string) error { syncs.Add(1); return nil }
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	syncs.Store(0)
	var wait sync.WaitGroup
	block.Store(true)
	put(t, l, 1, 100)
	wait.Go(func() { require.NoError(t, l.Write(1)) })
	<-entered
	put(t, l, 2, 100)
	wait.Go(func() { require.NoError(t, l.Sync(2)) })
	eventually(func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.syncers == 1 })
	put(t, l, 3, 100)
	wait.Go(func() {
		require.NoError(t, l.Write(3))
	})
	release <- struct{}{}
	wait.Wait()
	require.GreaterOrEqual(t, l.Durable(), ids.LSN(2))
	require.EqualValues(t, 1, syncs.Load())
	require.NoError(t, l.Close())
}

func TestAWriteLeavesTheLeadToAWaitingSync(t *testing.T) {
	var files numbers
	l, err := Start(newDir(t), testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	put(t, l, 1, 100)
	l.mu.Lock()
	l.syncers++ // one that was woken and has not run yet
	l.mu.Unlock()
	done := make(chan error)
	go func() { done <- l.Write(1) }()
	for range 1000 {
		runtime.Gosched()
		require.EqualValues(t, 0, l.Written())
	}
	l.mu.Lock()
	l.syncers--
	l.mu.Unlock()
	require.NoError(t, l.Sync(1))
	require.NoError(t, <-done)
	require.NoError(t, l.Close())
}

func TestASyncThatNeedNotLeadWakesTheWritesThatSteppedBack(t *testing.T) {
	var files numbers
	l, err := Start(newDir(t), testDir, nil, 1, quiet(&files, 64<<10))
	require.NoError(t, err)
	put(t, l, 1, 100)
	require.NoError(t, l.Sync(1))
	put(t, l, 2, 100)
	l.mu.Lock()
	l.syncers++
	l.mu.Unlock()
	done := make(chan error)
	go func() { done <- l.Write(2) }()
	for range 1000 {
		runtime.Gosched()
	}
	l.mu.Lock()
	l.syncers-- // it wakes and finds its record durable already
	err = l.syncLocked(1)
	l.mu.Unlock()
	require.NoError(t, err)
	require.NoError(t, <-done)
	require.NoError(t, l.Close())
}

// sectorWatch fails the test if a write touches a sector that holds bytes which
// are durable, or which an fsync is making so at this moment: a disk that loses
// power while it rewrites a sector may garble all of it. Zeros do not count,
// preallocated or written ahead: they hold nothing.
type sectorWatch struct {
	t       *testing.T
	mu      sync.Mutex
	written map[string]map[int64]bool // sectors written since the last fsync began
	durable map[string]map[int64]bool
	running map[string]int
}

func (w *sectorWatch) fs(fs *hookFS) *hookFS {
	w.written, w.durable, w.running = map[string]map[int64]bool{}, map[string]map[int64]bool{}, map[string]int{}
	fs.onCreate = func(name string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.written[name], w.durable[name] = map[int64]bool{}, map[int64]bool{}
		return nil
	}
	fs.onWrite = func(name string, offset int64, data []byte) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		for at := offset / sectorBytes; at <= (offset+int64(len(data))-1)/sectorBytes; at++ {
			if w.durable[name][at] {
				w.t.Errorf("write of %d bytes at %d of %s touches durable sector %d", len(data), offset, name, at)
			}
			if !allZero(data) {
				w.written[name][at] = true
			}
		}
		return nil
	}
	fs.onSync = func(name string) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.running[name]++; w.running[name] > 1 {
			w.t.Errorf("two fsyncs of %s at a time: one may hide the other's failure", name)
		}
		// A write that came between the leader's look at the offset and this call
		// is fsynced as well, but nobody counts on it.
		limit := int64(math.MaxInt64)
		if l := fs.log.Load(); l != nil && l.promised.Load() > 0 {
			limit = l.promised.Load()
		}
		for at := range w.written[name] { // from its start on
			if at*sectorBytes < limit {
				w.durable[name][at] = true
				delete(w.written[name], at)
			}
		}
		return nil
	}
	fs.synced = func(name string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.running[name]--
	}
	return fs
}

func TestNoWriteTouchesADurableSector(t *testing.T) {
	t.Run("one goroutine, all steps", func(t *testing.T) {
		for seed := uint64(1); seed <= 10; seed++ {
			w := sectorWatch{t: t}
			s := &script{fs: w.fs(&hookFS{FS: newDir(t)})}
			require.NoError(t, s.run(seed, 3, 100))
		}
	})
	t.Run("many goroutines", func(t *testing.T) {
		w := sectorWatch{t: t}
		fs := newDir(t)
		concurrently(t, w.fs(&hookFS{FS: fs}), 8, 200)
		lsns, _, err := replayed(fs, 1)
		require.NoError(t, err)
		require.Equal(t, upTo(8*200), lsns)
	})
}

// concurrently lets goroutines commit records of random sizes, some synced.
func concurrently(t *testing.T, fs *hookFS, goroutines, each int) {
	var files numbers
	opts := quiet(&files, 8192)
	opts.MarkDelay = 0
	l, err := Start(fs, testDir, nil, 1, opts)
	require.NoError(t, err)
	fs.log.Store(l)
	var lock sync.Mutex // the engine's
	var next ids.LSN = 1
	var wait sync.WaitGroup
	for g := range goroutines {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 3))
			for range each {
				size := 8 + r.IntN(300)
				if r.IntN(50) == 0 {
					size = 10000
				}
				if err := l.Reserve(size, r.IntN(10) == 0); err != nil {
					t.Errorf("reserve: %v", err)
					return
				}
				lock.Lock()
				lsn := next
				next++
				l.Append(lsn, KindDrop, recordPayload(lsn, size))
				lock.Unlock()
				var err error
				if r.IntN(3) == 0 {
					err = l.Sync(lsn)
				} else {
					err = l.Write(lsn)
				}
				if err != nil {
					t.Errorf("commit of %d: %v", lsn, err)
				}
				if l.Written() < lsn {
					t.Errorf("record %d is acknowledged and not written", lsn)
				}
			}
		})
	}
	wait.Wait()
	require.NoError(t, l.Close())
}

// Those who wait for another's write look again for a while before they sleep: its end is
// not that of their own record.
func TestWriteReturnsWhenItsOwnRecordIsWritten(t *testing.T) {
	const writers, each = 4, 3000
	var files numbers
	l, err := Start(newDir(t), testDir, nil, 1, quiet(&files, 16<<20))
	require.NoError(t, err)
	var order sync.Mutex
	last := ids.LSN(0)
	var early atomic.Int64
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				order.Lock()
				last++
				lsn := last
				put(t, l, lsn, 20)
				order.Unlock()
				if err := l.Write(lsn); err != nil || l.Written() < lsn {
					early.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, early.Load())
	require.Equal(t, ids.LSN(writers*each), l.Written())
	require.NoError(t, l.Close())
}

func TestAppendDoesNotAllocateInSteadyState(t *testing.T) {
	var files numbers
	l, err := Start(newDir(t), testDir, nil, 1, quiet(&files, 16<<20))
	require.NoError(t, err)
	key, value := make([]byte, 20), make([]byte, 100)
	lsn := ids.LSN(0)
	group := func() {
		for range 50 {
			lsn++
			require.NoError(t, l.Reserve(len(key)+len(value), false))
			l.Append(lsn, KindBatch, key, value)
		}
		l.mu.Lock() // take the group as a writer does, without its I/O
		l.room.take()
		l.room.takenBytes = 0
		l.spareBuf, l.pending = l.pending.buf[:0], group{}
		l.mu.Unlock()
	}
	group()
	require.Zero(t, testing.AllocsPerRun(20, group))
}

func BenchmarkAppend(b *testing.B) {
	var files numbers
	l, err := Start(newDir(b), testDir, nil, 1, Options{NextFile: files.next, MarkDelay: -1})
	require.NoError(b, err)
	header, ops := make([]byte, 28), make([]byte, 120)
	lsn := ids.LSN(0)
	for b.Loop() {
		lsn++
		if err := l.Reserve(len(header)+len(ops), false); err != nil {
			b.Fatal(err)
		}
		l.Append(lsn, KindBatch, header, ops)
		if lsn%1000 == 0 {
			b.StopTimer()
			require.NoError(b, l.Write(lsn))
			if lsn%100000 == 0 {
				require.NoError(b, l.Sync(lsn))
				_, err := l.Trim(lsn)
				require.NoError(b, err)
			}
			b.StartTimer()
		}
	}
	b.StopTimer()
	require.NoError(b, l.Close())
}
