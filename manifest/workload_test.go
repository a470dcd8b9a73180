package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/sstable"
)

const testDir = "store"

// workload makes random transactions that an engine might make, and keeps the
// state after each of them. It shares with the log only the definition of what
// a transaction does to a state.
type workload struct {
	random *rand.Rand
	model  *State
	id     uint64
	lsn    ids.LSN

	states map[string]Position // fingerprint of the state after each transaction
	needs  []ids.LSN           // by position
	last   Position
}

func newWorkload(seed uint64) *workload {
	w := &workload{random: rand.New(rand.NewPCG(seed, 1)), id: 100, lsn: 1}
	state := NewState()
	for i := range state.StoreID {
		state.StoreID[i] = byte(i + 1)
	}
	state.Counters = Counters{NextID: 1000, NextLSN: 1000}
	state.Forks[1] = Fork{ID: 1, Name: "main", Memtable: 2}
	w.adopt(state)
	return w
}

// adopt makes state the first of a new log's life.
func (w *workload) adopt(state *State) {
	w.model = clone(state)
	w.states = map[string]Position{fingerprint(state): 0}
	w.needs, w.last = []ids.LSN{0}, 0
}

func (w *workload) newID() uint64 { w.id++; return w.id }

// next makes a transaction, and the LSN that it needs.
func (w *workload) next() (*Transaction, ids.LSN) {
	t := &Transaction{}
	w.lsn++
	for range 1 + w.random.IntN(3) {
		step := &Transaction{}
		w.step(step)
		w.model.Apply(step)
		merge(t, step)
	}
	// Each state differs from all others.
	counters := w.model.Counters
	counters.Applied = w.lsn
	counters.Trimmed = w.lsn / 2
	counters.NextID = max(counters.NextID, w.id+100)
	counters.NextLSN = max(counters.NextLSN, w.lsn+100)
	t.Counters = &counters
	w.model.Counters = counters

	w.last++
	w.states[fingerprint(w.model)] = w.last
	w.needs = append(w.needs, w.lsn)
	return t, w.lsn
}

// merge adds a step that was made after t's: a drop takes back t's puts.
func merge(t, step *Transaction) {
	t.PutForks = append(t.PutForks, step.PutForks...)
	t.PutSnapshots = append(t.PutSnapshots, step.PutSnapshots...)
	t.PutNodes = append(t.PutNodes, step.PutNodes...)
	t.PutTables = append(t.PutTables, step.PutTables...)
	t.DropForks = append(t.DropForks, step.DropForks...)
	t.DropSnapshots = append(t.DropSnapshots, step.DropSnapshots...)
	t.DropNodes = append(t.DropNodes, step.DropNodes...)
	t.DropTables = append(t.DropTables, step.DropTables...)
}

func (w *workload) step(t *Transaction) {
	switch w.random.IntN(8) {
	case 0, 1:
		f := w.fork()
		id := ids.ForkID(w.newID())
		t.PutForks = append(t.PutForks, Fork{
			ID: id, Name: fmt.Sprintf("fork-%d", id), Parent: f.ID, Top: f.Top, Memtable: ids.NodeID(w.newID()),
			CreatedUnixNano: int64(id) * 1e9, CreatedLSN: w.lsn,
		})
	case 2:
		if f := w.fork(); f.ID != 1 {
			t.DropForks = append(t.DropForks, f.ID)
		}
	case 3, 4, 5:
		w.flush(t)
	case 6:
		f := w.fork()
		id := ids.SnapshotID(w.newID())
		t.PutSnapshots = append(t.PutSnapshots, Snapshot{ID: id, Name: fmt.Sprintf("snapshot-%d", id), Node: f.Top, Fork: f.ID, CreatedUnixNano: 7})
		if len(w.model.Snapshots) > 3 {
			t.DropSnapshots = append(t.DropSnapshots, sortedKeys(w.model.Snapshots)[0])
		}
	case 7:
		w.compact(t)
	}
}

func (w *workload) fork() Fork {
	keys := sortedKeys(w.model.Forks)
	return w.model.Forks[keys[w.random.IntN(len(keys))]]
}

// flush puts a fork's memtable into tables, as the node it was born to be.
func (w *workload) flush(t *Transaction) {
	f := w.fork()
	n := Node{ID: f.Memtable, Older: f.Top, Fork: f.ID, Frozen: w.lsn, Tables: w.run(t)}
	f.Top, f.Memtable = n.ID, ids.NodeID(w.newID())
	t.PutNodes = append(t.PutNodes, n)
	t.PutForks = append(t.PutForks, f)
}

// compact gives a node another run and drops the tables that nobody else uses.
func (w *workload) compact(t *Transaction) {
	if len(w.model.Nodes) == 0 {
		return
	}
	keys := sortedKeys(w.model.Nodes)
	n := w.model.Nodes[keys[w.random.IntN(len(keys))]]
	t.DropTables = append(t.DropTables, n.Tables...)
	n.Tables = w.run(t)
	t.PutNodes = append(t.PutNodes, n)
}

func (w *workload) run(t *Transaction) []ids.TableID {
	var run []ids.TableID
	file := ids.FileNum(w.newID())
	for i := range w.random.IntN(4) {
		m := sstable.Meta{
			ID: ids.TableID(w.newID()), File: file, Offset: uint64(i) * 4096, Length: 4000,
			Rows: 10, Tombstones: uint64(i), KeyBytes: 100, ValueBytes: 1000,
			Smallest: fmt.Appendf(nil, "key-%d-%s", i, "a"), Largest: fmt.Appendf(nil, "key-%d-%s", i, "z"),
		}
		t.PutTables = append(t.PutTables, m)
		run = append(run, m.ID)
	}
	return run
}

func clone(s *State) *State {
	return &State{
		StoreID: s.StoreID, Counters: s.Counters,
		Forks: maps.Clone(s.Forks), Snapshots: maps.Clone(s.Snapshots), Nodes: maps.Clone(s.Nodes), Tables: maps.Clone(s.Tables),
	}
}

// fingerprint spells a state out, the same for equal states only.
func fingerprint(s *State) string {
	return fmt.Sprint(s.StoreID, s.Counters, sorted(s.Forks), sorted(s.Snapshots), sorted(s.Nodes), sorted(s.Tables))
}

func sorted[K cmp.Ordered, V any](m map[K]V) []V {
	var out []V
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, m[k])
	}
	return out
}

// fakeWAL is a write-ahead log that is durable as far as it was asked to be.
type fakeWAL struct{ durable atomic.Uint64 }

func (f *fakeWAL) sync(lsn ids.LSN) error {
	for {
		now := f.durable.Load()
		if now >= uint64(lsn) || f.durable.CompareAndSwap(now, uint64(lsn)) {
			return nil
		}
	}
}

// fileNumbers gives out file numbers from first on.
func fileNumbers(first ids.FileNum) func() ids.FileNum {
	var n atomic.Uint64
	n.Store(uint64(first) - 1)
	return func() ids.FileNum { return ids.FileNum(n.Add(1)) }
}

func noOpenFiles(t *testing.T, fsys interface{ OpenFiles() int }) {
	t.Helper()
	require.Zero(t, fsys.OpenFiles(), "handles left open")
}

// watchFS calls before ahead of each mutating call of the file system under it.
type watchFS struct {
	vfs.FS
	before func(op, name string)
}

func (w watchFS) Create(name string) (vfs.File, error) {
	w.before("create", name)
	f, err := w.FS.Create(name)
	if err != nil {
		return nil, err
	}
	return watchFile{File: f, fs: w, name: name}, nil
}

func (w watchFS) Rename(from, to string) error {
	w.before("rename", to)
	return w.FS.Rename(from, to)
}

func (w watchFS) Remove(name string) error {
	w.before("remove", name)
	return w.FS.Remove(name)
}

func (w watchFS) SyncDir(dir string) error {
	w.before("syncdir", dir)
	return w.FS.SyncDir(dir)
}

type watchFile struct {
	vfs.File
	fs   watchFS
	name string
}

func (f watchFile) WriteAt(p []byte, off int64) (int, error) {
	f.fs.before("write", f.name)
	return f.File.WriteAt(p, off)
}

func (f watchFile) Sync() error {
	f.fs.before("sync", f.name)
	return f.File.Sync()
}
