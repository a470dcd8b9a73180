package manifest

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
	"github.com/tinedb/tine/sstable"
)

func TestRewriteShortensTheLog(t *testing.T) {
	disk, work := newDisk(t), newWorkload(5)
	var wal fakeWAL
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(1), WaitDurable: wal.sync, RewriteBytes: 5000})
	require.NoError(t, err)
	require.False(t, log.NeedsRewrite())
	for !log.NeedsRewrite() {
		require.NoError(t, log.Sync(appendSome(log, work, 1)))
	}
	grown := requireLoads(t, disk, work.model)
	last := log.Last()
	require.NoError(t, log.Rewrite())
	require.False(t, log.NeedsRewrite())
	require.Equal(t, last, log.Last(), "positions survive")
	require.Equal(t, last, log.Durable())
	require.Equal(t, ids.FileNum(2), log.FileNum())
	require.Len(t, disk.Names(), 2)
	shorter := requireLoads(t, disk.PowerLossStrict(), work.model)
	require.Less(t, shorter.Bytes, grown.Bytes)

	require.NoError(t, log.Sync(appendSome(log, work, 3)))
	require.NoError(t, log.Close())
	requireLoads(t, disk, work.model)
	noOpenFiles(t, disk)
}

// TestRewriteTakesPendingTransactionsAlong: positions that were only in memory
// are durable by the rewrite, and are not written a second time.
func TestRewriteTakesPendingTransactionsAlong(t *testing.T) {
	disk, work := newDisk(t), newWorkload(5)
	var wal fakeWAL
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(1), WaitDurable: wal.sync})
	require.NoError(t, err)
	p := appendSome(log, work, 5)
	require.NoError(t, log.Rewrite())
	require.Equal(t, p, log.Durable())
	require.EqualValues(t, work.lsn, wal.durable.Load())
	calls := disk.Mutations()
	require.NoError(t, log.Sync(p))
	require.Equal(t, calls, disk.Mutations())
	require.NoError(t, log.Sync(appendSome(log, work, 1)))
	requireLoads(t, disk, work.model)
	require.NoError(t, log.Close())
}

// TestRefusedRewriteChangesNothing lets each call of a rewrite fail in turn.
// Up to the replacement of CURRENT that is a refusal, from there on the log is
// poisoned; either way no transaction is lost.
func TestRefusedRewriteChangesNothing(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO} {
		refusals, poisons := 0, 0
		for n := 1; ; n++ {
			disk, work := newDisk(t), newWorkload(6)
			faulty := faultfs.New(disk)
			var wal fakeWAL
			log, err := Create(faulty, testDir, clone(work.model), Options{NextFile: fileNumbers(1), WaitDurable: wal.sync, RewriteBytes: 100})
			require.NoError(t, err)
			require.NoError(t, log.Sync(appendSome(log, work, 10)))
			pending := appendSome(log, work, 1)
			require.True(t, log.NeedsRewrite())

			faulty.Inject(faultfs.Rule{Nth: n, Err: cause, ShortWrite: true})
			err = log.Rewrite()
			injected := faulty.Injected() > 0
			faulty.Clear()
			what := fmt.Sprintf("call %d fails with %v: %v", n, cause, err)
			if err == nil {
				require.NoError(t, log.Sync(pending), what)
				require.NoError(t, log.Close(), what)
				requireLoads(t, disk.PowerLossStrict(), work.model)
				if !injected {
					break
				}
				continue // a removal
			}
			require.Equal(t, cause == syscall.ENOSPC && log.Err() == nil, errs.IsNoSpace(err), what)
			if log.Err() != nil {
				poisons++
				require.ErrorIs(t, err, ErrPoisoned)
				require.ErrorIs(t, log.Close(), ErrPoisoned)
				for _, image := range []*crashfs.FS{disk.PowerLossStrict(), disk.PowerLossAll()} {
					state, _, err := Load(image, testDir)
					require.NoError(t, err, what)
					require.GreaterOrEqual(t, work.states[fingerprint(state)], Position(10), what)
				}
				noOpenFiles(t, disk)
				continue
			}
			refusals++
			require.False(t, log.NeedsRewrite(), "%s: a refused rewrite must not be asked for at once", what)
			require.Len(t, disk.Names(), 2, what)
			require.Equal(t, ids.FileNum(1), log.FileNum())
			require.NoError(t, log.Sync(pending), what)
			requireLoads(t, disk.PowerLossStrict(), work.model)
			require.NoError(t, log.Rewrite(), what)
			require.NoError(t, log.Close(), what)
			requireLoads(t, disk.PowerLossStrict(), work.model)
			noOpenFiles(t, disk)
		}
		require.GreaterOrEqual(t, refusals, 8)
		require.Equal(t, 3, poisons, "two syncs of the directory and the rename")
	}
}

// TestRewriteOfManyObjectsIsSliced appends between slices, to objects on both
// sides of the copier's place.
func TestRewriteOfManyObjectsIsSliced(t *testing.T) {
	disk, work := newDisk(t), newWorkload(7)
	state := clone(work.model)
	const forks = 20_000
	for i := range ids.ForkID(forks) {
		id := 1000 + 2*i
		state.Forks.Put(Fork{ID: id, Name: fmt.Sprintf("agent-%d", i), Parent: 1, Memtable: ids.NodeID(id + 1)})
	}
	state.NextID = 1_000_000
	var log *Log
	rewriting, appended, longest := false, 0, 0
	fsys := watchFS{FS: disk, before: func(op, name string) {
		if !rewriting || op != "write" || path.Base(name) == ids.CurrentName+".tmp" {
			return
		}
		// One fork near the begin, one near the end, one new, one gone.
		appended++
		n := ids.ForkID(appended)
		log.Append(&Transaction{
			PutForks: []Fork{
				{ID: 1000 + 2*n, Name: fmt.Sprintf("early-%d", n), Memtable: ids.NodeID(1000 + 2*n + 1)},
				{ID: 1000 + 2*(forks-n), Name: fmt.Sprintf("late-%d", n), Memtable: ids.NodeID(1000 + 2*(forks-n) + 1)},
				{ID: 500_000 + 2*n, Name: fmt.Sprintf("new-%d", n), Memtable: ids.NodeID(500_000 + 2*n + 1)},
			},
			DropForks: []ids.ForkID{1000 + 2*(forks/2+n)},
		}, 0)
	}}
	log, err := Create(fsys, testDir, state, Options{NextFile: fileNumbers(1)})
	require.NoError(t, err)
	rewriting = true
	require.NoError(t, log.Rewrite())
	rewriting = false
	require.Greater(t, appended, 10)
	require.NoError(t, log.Close())

	var want string
	log.View(func(s *State) { want = fingerprint(s) })
	got, info, err := Load(disk, testDir)
	require.NoError(t, err)
	require.Equal(t, want, fingerprint(got))
	require.Positive(t, info.Transactions)
	_, _, err = scan(disk, testDir, func(_ int64, f frame, _ *Transaction) error {
		if f.kind == frameSlice {
			longest = max(longest, len(f.payload))
		}
		return nil
	})
	require.NoError(t, err)
	require.LessOrEqual(t, longest, sliceBytes)
	require.Greater(t, longest, sliceBytes*9/10)
}

// TestRewriteCopiesVectorsWhileTheyChange adds, drops, and adds less than was dropped
// between slices, to vectors that were copied already, that are to be, and that were
// not there.
// TestRewriteRestsBetweenSlices: with no lock held, or the log could not be asked.
func TestRewriteRestsBetweenSlices(t *testing.T) {
	const nodes, forks = 20_000, 10 * forksAtOnce
	state := NewState()
	state.Counters = Counters{NextID: nodes + forks + 1, NextLSN: 1}
	for i := range nodes {
		state.Nodes[ids.NodeID(i+1)] = Node{ID: ids.NodeID(i + 1)}
	}
	for i := range forks {
		id := nodes + i + 1
		state.Forks.Put(Fork{ID: ids.ForkID(id), Name: fmt.Sprint(id), Memtable: ids.NodeID(id)})
	}
	var log *Log
	begun, rests := 0, 0
	pace := func() func() {
		begun++
		return func() {
			rests++
			log.Last()
		}
	}
	log, err := Create(newDisk(t), testDir, state, Options{NextFile: fileNumbers(1), Pace: pace})
	require.NoError(t, err)
	require.Zero(t, begun, "nobody else waits while a log is made")
	require.NoError(t, log.Rewrite())
	require.Equal(t, 1, begun)
	require.GreaterOrEqual(t, rests, nodes*putNodeBytes/sliceBytes+forks/forksAtOnce)
	require.NoError(t, log.Close())
}

func TestRewriteCopiesVectorsWhileTheyChange(t *testing.T) {
	const vectors, rows = 10_000, 1000
	disk, state := newDisk(t), NewState()
	state.NextID = 1_000_000
	state.Tables[1] = sstable.Meta{ID: 1, File: 2, Length: 100, Rows: rows}
	for i := range ids.NodeID(vectors) {
		node := Node{ID: 10 + i}
		if i == 0 {
			node.Tables = []ids.TableID{1}
		}
		state.Nodes[10+i] = node
		if i%2 == 0 {
			state.Marks[MarksKey{10 + i, 1}] = vectorOf(rows, 1, 2, 3)
		}
	}
	var log *Log
	rewriting, rounds := false, 0
	fsys := watchFS{FS: disk, before: func(op, name string) {
		if !rewriting || op != "write" || path.Base(name) == ids.CurrentName+".tmp" {
			return
		}
		rounds++
		for _, place := range []int{0, vectors / 4, vectors / 2, vectors - 200} {
			key := func(n int) MarksKey { return MarksKey{ids.NodeID(10 + place + 8*rounds%200 + n), 1} }
			row := uint32(10 + rounds)
			add := func(n int, rows ...uint32) Marks { return Marks{key(n).Node, 1, vectorOf(1000, rows...)} }
			// 0 grows; 1 comes; 2 goes; 4 goes and comes again with less; 3 comes, grows
			// and goes; 6 is whole.
			log.Append(&Transaction{AddMarks: []Marks{add(0, row), add(1, row), add(3, 1), {key(6).Node, 1, sstable.WholeVector(rows)}}}, 0)
			log.Append(&Transaction{DropMarks: []MarksKey{key(2), key(4)}, AddMarks: []Marks{add(3, 5)}}, 0)
			log.Append(&Transaction{DropMarks: []MarksKey{key(3)}, AddMarks: []Marks{add(4, 2)}}, 0)
		}
	}}
	log, err := Create(fsys, testDir, state, Options{NextFile: fileNumbers(1)})
	require.NoError(t, err)
	rewriting = true
	require.NoError(t, log.Rewrite())
	rewriting = false
	require.Greater(t, rounds, 10)
	require.NoError(t, log.Close())
	var want string
	log.View(func(s *State) { want = spellMarks(s) })
	got, info, err := Load(disk, testDir)
	require.NoError(t, err)
	require.Equal(t, want, spellMarks(got))
	require.Positive(t, info.Transactions)
	require.Zero(t, info.Forgotten)
}

// TestCloseAbortsARunningRewrite closes from inside the rewrite's first write.
func TestCloseAbortsARunningRewrite(t *testing.T) {
	disk, work := newDisk(t), newWorkload(8)
	var log *Log
	var closed chan error
	fsys := watchFS{FS: disk, before: func(op, name string) {
		if op == "create" && strings.HasSuffix(name, "MANIFEST-000002") {
			closed = make(chan error, 1)
			go func() { closed <- log.Close() }()
			for { // until Close has said so
				log.mu.Lock()
				said := log.mu.closed
				log.mu.Unlock()
				if said {
					return
				}
			}
		}
	}}
	log, err := Create(fsys, testDir, clone(work.model), Options{NextFile: fileNumbers(1)})
	require.NoError(t, err)
	require.ErrorIs(t, log.Rewrite(), ErrClosed)
	require.NoError(t, <-closed)
	require.Len(t, disk.Names(), 2)
	requireLoads(t, disk, work.model)
	noOpenFiles(t, disk)
}

// The owner keeps the forks, and changes them without telling the log at once. Each
// portion is asked for with what is owed appended first, so that a rewrite is of forks
// that the log knows.
func TestRewriteTakesForksFromTheirOwner(t *testing.T) {
	disk, state := newDisk(t), NewState()
	const forks = 5000
	for id := range ids.ForkID(forks) {
		state.Forks.Put(Fork{ID: 2*id + 2, Name: fmt.Sprintf("agent-%d", id), Memtable: ids.NodeID(2*id + 3)})
	}
	state.NextID = 20_000
	owner := state.Forks.Clone()
	var log *Log
	var owed Transaction
	asked, failing := 0, false
	log, err := Create(disk, testDir, state, Options{NextFile: fileNumbers(1), Forks: func(after ids.ForkID, limit int) ([]Fork, error) {
		if failing {
			return nil, errors.New("on purpose")
		}
		asked++
		n := ids.ForkID(asked)
		for _, f := range []Fork{
			{ID: 2 * n, Name: fmt.Sprint("early-", n), Memtable: ids.NodeID(2*n + 1)},
			{ID: 2 * (forks - n), Name: fmt.Sprint("late-", n), Memtable: ids.NodeID(2*(forks-n) + 1)},
			{ID: 20_000 + 2*n, Name: fmt.Sprint("new-", n), Memtable: ids.NodeID(20_000 + 2*n + 1)}, // without end
		} {
			owner.Put(f)
			owed.PutForks = append(owed.PutForks, f)
		}
		for _, gone := range []ids.ForkID{2 * (forks/2 + n), after} {
			if owner.Drop(gone) {
				owed.DropForks = append(owed.DropForks, gone)
			}
		}
		owed.Counters = &Counters{NextID: 30_000}
		log.Append(&owed, 0)
		owed = Transaction{}
		return owner.After(after, limit), nil
	}})
	require.NoError(t, err)
	if !invariant.Expensive {
		log.View(func(s *State) { require.Nil(t, s.Forks, "there is no second copy") })
	}
	require.NoError(t, log.Rewrite())
	require.Greater(t, asked, 8)
	failing = true
	require.ErrorContains(t, log.Rewrite(), "on purpose")
	require.NoError(t, log.Err())
	log.Append(&Transaction{DropForks: []ids.ForkID{20_002}}, 0)
	owner.Drop(20_002)
	require.NoError(t, log.Close())

	got, _, err := Load(disk, testDir)
	require.NoError(t, err)
	require.Equal(t, slices.Collect(owner.All()), slices.Collect(got.Forks.All()))
	require.NoError(t, got.Check())
}
