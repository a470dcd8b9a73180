package engine

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Whoever uses the lock again and again lets those run who wait for it: here with one
// processor, where they would otherwise have to wait for the end of its turn.
func TestWhoPassesOthersAtTheLockStandsBack(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for range 20 {
		var l treeLock
		done := make(chan int, 1)
		sections := 0 // under the lock
		l.Lock()
		go func() {
			l.Lock()
			defer l.Unlock()
			done <- sections
		}()
		for l.waiting.Load() == 0 {
			runtime.Gosched()
		}
		l.Unlock()
		for range 1000 {
			l.Lock()
			sections++
			l.Unlock()
		}
		require.LessOrEqual(t, <-done, 2*mayPass+2)
	}
}

// Work that does not rest lets those run who are ready, and then goes on for as long as they
// had the processor.
func TestWorkThatGivesWayGetsItsShare(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	ran := make(chan struct{})
	go close(ran)
	var w way
	for range 8 { // once in a while the runtime prefers who has just given way
		w = way{}
		w.give(workSlice)
	}
	select {
	case <-ran:
	default:
		require.Fail(t, "somebody was ready and did not run")
	}
	require.Zero(t, w.since)

	w = way{given: 10 * workSlice}
	for i := range 9 {
		w.give(workSlice)
		require.Equal(t, time.Duration(i+1)*workSlice, w.since, "others have had so much already")
	}
	w.give(workSlice)
	require.Zero(t, w.since, "it is their turn again")

	w = way{given: time.Second}
	w.give(time.Hour)
	require.Equal(t, 4*workSlice, w.since, "who was kept from working has not worked")
}

// What a flush asks between its steps tells it to stop, too.
func TestAFlushThatGivesWayStops(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	stop := s.givingWay()
	require.NoError(t, stop())
	require.NoError(t, s.Close())
	require.ErrorIs(t, stop(), errStopping)
}

func TestForksAreListedInSlices(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	defer s.Close()
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	var names []string
	for i := range 3*listedAtOnce - 1 { // and main
		names = append(names, fmt.Sprintf("a-%04d", i))
	}
	_, err = main.ForkMany(names, NoSync)
	require.NoError(t, err)
	for _, name := range names {
		_, err := main.Snapshot(name, NoSync)
		require.NoError(t, err)
	}
	_, err = main.Snapshot(MainFork, NoSync)
	require.NoError(t, err)
	forks := func(o ListOptions) (out []string) {
		for _, info := range s.ListForks(o) {
			out = append(out, info.Name)
		}
		return out
	}
	snapshots := func(o ListOptions) (out []string) {
		for _, info := range s.ListSnapshots(o) {
			out = append(out, info.Name)
		}
		return out
	}
	var slices []int
	slice := func(o ListOptions) (out []string) {
		slices = append(slices, o.Limit)
		return forks(o)
	}
	for _, limit := range []int{0, 1, listedAtOnce - 1, listedAtOnce, listedAtOnce + 1, 1000} {
		slices = nil
		want := append(names, MainFork)
		if limit > 0 {
			want = want[:min(limit, len(want))]
		}
		require.Equal(t, want, listed(ListOptions{Limit: limit}, slice, func(name *string) string { return *name }))
		for _, n := range slices {
			require.LessOrEqual(t, n, listedAtOnce)
			require.Positive(t, n)
		}
		require.LessOrEqual(t, len(slices), len(want)/listedAtOnce+1)
	}
	for _, list := range []func(ListOptions) []string{forks, snapshots} {
		require.Equal(t, append(names, MainFork), list(ListOptions{}), "the last slice is full")
		require.Equal(t, names, list(ListOptions{Prefix: "a-"}))
		require.Equal(t, names[2:], list(ListOptions{Prefix: "a-", After: names[1]}))
		require.Equal(t, []string{MainFork}, list(ListOptions{Prefix: "m", After: names[1]}))
		require.Empty(t, list(ListOptions{Prefix: "a-", After: "b"}))
		require.Equal(t, names[:listedAtOnce+1], list(ListOptions{Limit: listedAtOnce + 1}))
		require.Equal(t, names[:listedAtOnce], list(ListOptions{Limit: listedAtOnce}))
	}
}

// The memory of a store goes with its last user, whatever it had meant to do later.
func TestAClosedStoreIsKeptByNoTimer(t *testing.T) {
	closed := func() weak.Pointer[Store] {
		s, err := Open("/db", &Options{FS: crashfs.New()})
		require.NoError(t, err)
		b := &s.back
		b.mu.Lock()
		b.pauseLocked(&b.memory.rests, time.Hour)
		b.afterLocked(time.Hour, func() { b.memory.pending = true })
		b.mu.Unlock()
		require.NoError(t, s.Close())
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Empty(t, b.timers)
		b.afterLocked(time.Hour, func() { b.memory.pending = true }) // who comes late
		return weak.Make(s)
	}()
	for begun := time.Now(); closed.Value() != nil; runtime.GC() {
		require.Less(t, time.Since(begun), 20*time.Second, "the store is still in memory")
	}
}

// Where a closed store outlives a collection, the next one comes when twice as much has
// gathered, and finds all of that alive too: memory grows without end.
func TestClosedStoresDoNotOutliveACollection(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	closed := func() weak.Pointer[Store] {
		s, err := Open("/db", &Options{FS: crashfs.New()})
		require.NoError(t, err)
		f, err := s.Fork(MainFork)
		require.NoError(t, err)
		require.NoError(t, f.Set([]byte("key"), []byte("value")))
		it, err := f.NewIter(Range{})
		require.NoError(t, err)
		require.True(t, it.First())
		require.NoError(t, it.Close())
		require.NoError(t, s.Close())
		return weak.Make(s)
	}
	const stores = 50
	var all []weak.Pointer[Store]
	for range stores {
		all = append(all, closed())
	}
	runtime.GC()
	alive := 0
	for _, s := range all {
		if s.Value() != nil {
			alive++
		}
	}
	require.Less(t, alive, stores/5)
}

func TestASubtreeIsExploredInSlices(t *testing.T) {
	s, err := Open("/db", &Options{FS: crashfs.New(), Manual: true})
	require.NoError(t, err)
	defer s.Close()
	main, err := s.Fork(MainFork)
	require.NoError(t, err)
	root, err := main.Fork("root")
	require.NoError(t, err)
	for i := range 3 {
		var names []string
		for n := range MaxForkMany {
			names = append(names, fmt.Sprintf("r-%d-%d", i, n))
		}
		_, err = root.ForkMany(names, NoSync)
		require.NoError(t, err)
	}
	b := newSubtree(root.id)
	slices := 0
	for s.exploreSome(b) {
		slices++
		require.Len(t, b.found, 1+slices*exploredAtOnce)
	}
	require.GreaterOrEqual(t, slices, 2)
	require.Len(t, b.found, 1+3*MaxForkMany)
	n, err := root.DropSubtree(NoSync)
	require.NoError(t, err)
	require.Equal(t, 1+3*MaxForkMany, n)
	require.Equal(t, 1, s.mu.tree.ForkCount())
	require.NoError(t, s.Verify())
}
