package manifest

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
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
	chunk  ids.ChunkID
	lsn    ids.LSN

	states map[string]Position // fingerprint of the state after each transaction
	needs  []ids.LSN           // by position
	last   Position

	marksBytes int           // of the log that it is for
	staged     []ids.TableID // tables that marks are on and that are not there yet
}

func newWorkload(seed uint64) *workload {
	w := &workload{random: rand.New(rand.NewPCG(seed, 1)), id: 100, lsn: 1, marksBytes: maxMarksBytes}
	state := NewState()
	for i := range state.StoreID {
		state.StoreID[i] = byte(i + 1)
	}
	state.Counters = Counters{NextID: 1000, NextLSN: 1000}
	state.Forks.Put(Fork{ID: 1, Name: "main", Memtable: 2})
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
	before := clone(w.model)
	w.lsn++
	for range 1 + w.random.IntN(3) {
		step := &Transaction{}
		w.step(step)
		w.model.Apply(step)
		merge(t, step)
	}
	if keys := sortedMarks(w.model.Marks); len(keys) > 0 && w.random.IntN(3) == 0 {
		step := &Transaction{DropMarks: []MarksKey{keys[w.random.IntN(len(keys))]}}
		w.model.Apply(step)
		merge(t, step)
	}
	// Each state differs from all others, but for those with a part of the marks.
	counters := w.model.Counters
	counters.Applied = w.lsn
	counters.Trimmed = w.lsn / 2
	counters.NextID = max(counters.NextID, w.id+100)
	counters.NextLSN = max(counters.NextLSN, w.lsn+100)
	t.Counters = &counters
	w.model.Counters = counters

	parts := t.split(w.marksBytes)
	for i, part := range parts {
		before.Apply(part)
		w.last++
		w.needs = append(w.needs, w.lsn)
		if _, known := w.states[fingerprint(before)]; !known || i == len(parts)-1 {
			w.states[fingerprint(before)] = w.last
		}
	}
	return t, w.lsn
}

// merge adds a step that was made after t's: a drop takes back t's puts.
func merge(t, step *Transaction) {
	t.PutForks = append(t.PutForks, step.PutForks...)
	t.PutSnapshots = append(t.PutSnapshots, step.PutSnapshots...)
	t.PutNodes = append(t.PutNodes, step.PutNodes...)
	t.PutChunks = append(t.PutChunks, step.PutChunks...)
	t.DropChunks = append(t.DropChunks, step.DropChunks...)
	t.PutTables = append(t.PutTables, step.PutTables...)
	t.DropForks = append(t.DropForks, step.DropForks...)
	t.DropSnapshots = append(t.DropSnapshots, step.DropSnapshots...)
	t.DropNodes = append(t.DropNodes, step.DropNodes...)
	t.DropTables = append(t.DropTables, step.DropTables...)
	t.AddMarks = append(t.AddMarks, step.AddMarks...)
	t.DropMarks = append(t.DropMarks, step.DropMarks...)
}

func (w *workload) step(t *Transaction) {
	switch w.random.IntN(10) {
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
	case 8:
		if nodes := sortedKeys(w.model.Nodes); len(nodes) > 0 {
			w.mark(t, nodes[w.random.IntN(len(nodes))])
		}
	case 9:
		w.stage(t)
	}
}

// mark lets a node mark rows of some of the tables that are there.
func (w *workload) mark(t *Transaction, node ids.NodeID) {
	for _, table := range sortedKeys(w.model.Tables) {
		if w.random.IntN(3) == 0 {
			t.AddMarks = append(t.AddMarks, Marks{node, table, w.vector(table)})
		}
	}
}

// stage puts marks on a table that may come later, by nodes that are there or not.
func (w *workload) stage(t *Transaction) {
	table := ids.TableID(w.newID())
	w.staged = append(w.staged, table)
	for f := range w.model.Forks.All() {
		node := f.Top
		if node == 0 || w.random.IntN(3) == 0 {
			node = f.Memtable
		}
		t.AddMarks = append(t.AddMarks, Marks{node, table, w.vector(table)})
	}
}

// rowsOf is how many rows a table has, or will have.
func rowsOf(table ids.TableID) uint64 { return 10 + uint64(table)%7 }

func (w *workload) vector(table ids.TableID) *sstable.Vector {
	rows := rowsOf(table)
	if w.random.IntN(8) == 0 {
		return sstable.WholeVector(rows)
	}
	dead := roaring.New()
	for range 1 + w.random.IntN(4) {
		dead.Add(uint32(w.random.Uint64N(rows)))
	}
	return sstable.NewVector(rows, dead)
}

func (w *workload) fork() Fork {
	forks := slices.Collect(w.model.Forks.All())
	return forks[w.random.IntN(len(forks))]
}

// flush puts a fork's memtable into tables, as the node it was born to be.
func (w *workload) flush(t *Transaction) {
	f := w.fork()
	n := Node{ID: f.Memtable, Older: f.Top, Fork: f.ID, Frozen: w.lsn}
	w.run(t, &n, 0)
	f.Top, f.Memtable = n.ID, ids.NodeID(w.newID())
	if w.random.IntN(2) == 0 {
		w.mark(t, n.ID)
	}
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
	kept := n.Chunks
	if len(kept) > 0 {
		kept = kept[:w.random.IntN(len(kept))]
	}
	for _, id := range n.Chunks[len(kept):] {
		t.DropChunks = append(t.DropChunks, id)
		t.DropTables = append(t.DropTables, w.model.Chunks[id]...)
	}
	t.DropTables = append(t.DropTables, n.Tables...)
	n.Tables, n.Chunks = nil, slices.Clone(kept)
	at := 0
	for id := range w.model.Run(&n) {
		fmt.Sscanf(string(w.model.Tables[id].Smallest), "key-%d", &at)
		at++
	}
	w.run(t, &n, at)
	t.PutNodes = append(t.PutNodes, n)
}

// run gives a node tables behind those that it has, as they are or in chunks.
func (w *workload) run(t *Transaction, n *Node, at int) {
	file := ids.FileNum(w.newID())
	cut := len(n.Chunks) > 0 || w.random.IntN(2) == 0
	var chunk []ids.TableID
	for i := range w.random.IntN(4) {
		m := sstable.Meta{
			ID: w.tableID(), File: file, Offset: uint64(i) * 4096, Length: 4000,
			Tombstones: uint64(i), KeyBytes: 100, ValueBytes: 1000,
			Smallest: fmt.Appendf(nil, "key-%09d-%s", at+i, "a"), Largest: fmt.Appendf(nil, "key-%09d-%s", at+i, "z"),
		}
		m.Rows = rowsOf(m.ID)
		t.PutTables = append(t.PutTables, m)
		if !cut {
			n.Tables = append(n.Tables, m.ID)
			continue
		}
		if chunk = append(chunk, m.ID); w.random.IntN(2) == 0 {
			w.putChunk(t, n, chunk)
			chunk = nil
		}
	}
	w.putChunk(t, n, chunk)
}

func (w *workload) putChunk(t *Transaction, n *Node, tables []ids.TableID) {
	if len(tables) > 0 {
		w.chunk++
		t.PutChunks = append(t.PutChunks, Chunk{ID: w.chunk, Tables: tables})
		n.Chunks = append(n.Chunks, w.chunk)
	}
}

// tableID gives the id of a new table, which may have marks on it already.
func (w *workload) tableID() ids.TableID {
	if len(w.staged) == 0 || w.random.IntN(2) == 0 {
		return ids.TableID(w.newID())
	}
	id := w.staged[0]
	w.staged = w.staged[1:]
	return id
}

func clone(s *State) *State {
	return &State{
		StoreID: s.StoreID, Counters: s.Counters,
		Forks: s.Forks.Clone(), Snapshots: maps.Clone(s.Snapshots), Nodes: maps.Clone(s.Nodes), Tables: maps.Clone(s.Tables),
		Chunks: maps.Clone(s.Chunks), Marks: maps.Clone(s.Marks),
	}
}

// fingerprint spells a state out, the same for equal states only. Marks of nodes and
// on tables that are not there are left out, as they are by Load.
func fingerprint(s *State) string {
	known := clone(s)
	known.forgetMarks()
	return fmt.Sprint(s.StoreID, s.Counters, slices.Collect(s.Forks.All()), sorted(s.Snapshots), sorted(s.Nodes), s.Chunks, sorted(s.Tables), spellMarks(known))
}

// spellMarks spells all vectors out, row by row.
func spellMarks(s *State) string {
	var b strings.Builder
	for _, k := range sortedMarks(s.Marks) {
		fmt.Fprint(&b, k, s.Marks[k].Rows(), s.Marks[k].Bitmap().ToArray())
	}
	return b.String()
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
