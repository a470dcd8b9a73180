package forktree

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
)

// Frozen is what a freeze record of the log says about a node: who wrote it and
// what lies below it.
type Frozen struct {
	Fork  ids.ForkID
	Older ids.NodeID
	LSN   ids.LSN // of the record
}

// Memtable is a memtable that replay has built, with the LSN of its first write.
type Memtable struct {
	Mem Memory
	Low ids.LSN
}

// Load builds the tree that a recovered store begins with. state is the
// manifest with the log's structural records applied to its forks and
// snapshots; frozen and mems are what the log says of nodes that may not be in
// tables yet. Only what a fork or a snapshot reaches is kept: who wrote a node,
// and whether that fork still lives, does not matter.
//
// A node that state knows is in tables, and what the log says of it is old. A
// node must be found in one of the two: otherwise log or manifest is damaged.
// The tree takes state's forks over, and changes them from then on. Everything in it but
// the forks counts as unknown to the manifest; Recovered gives all.
func Load(state *manifest.State, frozen map[ids.NodeID]Frozen, mems map[ids.NodeID]Memtable) (*Tree, error) {
	return load(state, frozen, mems, defaultCuts)
}

func load(state *manifest.State, frozen map[ids.NodeID]Frozen, mems map[ids.NodeID]Memtable, cuts cuts) (*Tree, error) {
	l := loader{t: New(), state: state, frozen: frozen, mems: mems, tables: map[ids.TableID]*Table{}, chunks: map[ids.ChunkID]*chunk{}}
	l.t.cuts = cuts
	for id := range state.Chunks {
		l.t.lastChunk = max(l.t.lastChunk, id) // also of those that nothing reaches
	}
	if err := l.loadForks(); err != nil {
		return nil, err
	}
	for _, s := range state.Snapshots {
		if err := l.loadSnapshot(s); err != nil {
			return nil, fmt.Errorf("snapshot %q: %w", s.Name, err)
		}
	}
	if err := l.checkMemtables(); err != nil {
		return nil, err
	}
	if err := l.loadMarks(); err != nil {
		return nil, err
	}
	return l.t, nil
}

// loadMarks gives the nodes their vectors. Those of a node or about a table that
// nothing reaches are left out, and so are those about a table that is not on the
// node's path: a swap has replaced it there and nobody is left to sweep them. Cost:
// O(length of the path) for each vector.
func (l *loader) loadMarks() error {
	keys := make([]manifest.MarksKey, 0, len(l.state.Marks))
	for key := range l.state.Marks {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b manifest.MarksKey) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Table, b.Table))
	})
	for _, key := range keys {
		n, tb, v := l.t.nodes[key.Node], l.tables[key.Table], l.state.Marks[key]
		switch {
		case n == nil || tb == nil:
			continue
		case n.Run == nil:
			return fmt.Errorf("node %d is in memory and marks rows of table %d", n.ID, tb.Meta.ID)
		case v.Rows() != tb.Meta.Rows:
			return fmt.Errorf("node %d marks table %d as one of %d rows, it has %d", n.ID, tb.Meta.ID, v.Rows(), tb.Meta.Rows)
		case !n.reaches(tb):
			continue
		}
		l.t.putMarks(n, tb, v)
	}
	return nil
}

type loader struct {
	t      *Tree
	state  *manifest.State
	frozen map[ids.NodeID]Frozen
	mems   map[ids.NodeID]Memtable
	tables map[ids.TableID]*Table
	chunks map[ids.ChunkID]*chunk
}

// loadForks takes the state's forks over, and builds their paths.
func (l *loader) loadForks() error {
	forks := l.state.Forks
	if a, _, ok := forks.Namesakes(); ok {
		return fmt.Errorf("fork %q: the name is used twice", a.Name)
	}
	var written []ids.ForkID
	for f := range forks.All() {
		top, err := l.node(f.Top)
		if err != nil {
			return fmt.Errorf("fork %q: %w", f.Name, err)
		}
		l.t.ref(top)
		if _, ok := l.mems[f.Memtable]; ok {
			written = append(written, f.ID)
		}
	}
	forks.Own()
	l.t.forks = forks
	for _, id := range written {
		f := l.t.ForkByID(id)
		m := l.mems[f.MemtableID]
		f.Mem, f.Low = m.Mem, m.Low
	}
	return nil
}

// checkMemtables makes sure that each fork's memtable can become a node when it
// is frozen: one of its own, above the fork's top, that is not there yet. It runs
// when all nodes are built, so that the order of the forks does not matter.
func (l *loader) checkMemtables() error {
	taken := make(map[ids.NodeID]ids.ForkID, l.t.forks.Len())
	for f := range l.t.forks.All() {
		_, flushed := l.state.Nodes[f.Memtable]
		switch {
		case flushed || l.t.nodes[f.Memtable] != nil:
			return fmt.Errorf("fork %q: its memtable %d is already a node: the next replay would skip what is written now", f.Name, f.Memtable)
		case f.Memtable <= f.Top:
			return fmt.Errorf("fork %q: its memtable %d is not newer than its top, node %d", f.Name, f.Memtable, f.Top)
		}
		if other, ok := taken[f.Memtable]; ok {
			before, _ := l.t.forks.Get(other)
			return fmt.Errorf("forks %q and %q share memtable %d", before.Name, f.Name, f.Memtable)
		}
		taken[f.Memtable] = f.ID
	}
	return nil
}

func (l *loader) loadSnapshot(r manifest.Snapshot) error {
	if l.t.SnapshotByName(r.Name) != nil {
		return fmt.Errorf("the name is used twice")
	}
	n, err := l.node(r.Node)
	if err != nil {
		return err
	}
	l.t.AddSnapshot(&Snapshot{ID: r.ID, Name: r.Name, Fork: r.Fork, CreatedUnixNano: r.CreatedUnixNano, Node: n})
	return nil
}

// node gives the node with that id, building it and what lies below it if need
// be. It goes down first and links upwards after, so that depth costs no stack.
func (l *loader) node(id ids.NodeID) (*Node, error) {
	var chain []*Node
	var below *Node
	for id != 0 {
		if n := l.t.nodes[id]; n != nil {
			below = n
			break
		}
		n, older, err := l.build(id)
		if err != nil {
			return nil, err
		}
		if older >= id {
			return nil, fmt.Errorf("node %d lies above node %d, which is not older", id, older)
		}
		chain = append(chain, n)
		id = older
	}
	for i := len(chain) - 1; i >= 0; i-- {
		n := chain[i]
		n.Older = below
		n.adopt()
		l.t.ref(below)
		below = n
	}
	return below, nil
}

func (l *loader) build(id ids.NodeID) (n *Node, older ids.NodeID, err error) {
	if r, ok := l.state.Nodes[id]; ok {
		run, err := l.run(r)
		if err != nil {
			return nil, 0, err
		}
		n = l.t.newNode(id, r.Fork)
		n.Run, n.Frozen = run, r.Frozen
		l.t.hold(run)
		l.t.touch(n)
		return n, r.Older, nil
	}
	fz, ok := l.frozen[id]
	if !ok {
		return nil, 0, fmt.Errorf("node %d is neither in the manifest nor in the log", id)
	}
	m, ok := l.mems[id]
	if !ok {
		return nil, 0, fmt.Errorf("the log freezes node %d but holds none of its writes", id)
	}
	n = l.t.newNode(id, fz.Fork)
	n.Mem, n.Low, n.Frozen = m.Mem, m.Low, fz.LSN
	l.t.memoryBytes += m.Mem.Bytes()
	l.t.memoryNodes++
	return n, fz.Older, nil
}

// run gives a node's run in the form that its record has. A chunk is looked at once,
// however many runs have it.
func (l *loader) run(r manifest.Node) (*Run, error) {
	if len(r.Chunks) == 0 {
		tables, err := l.list(r.Tables)
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", r.ID, err)
		}
		return &Run{Tables: tables}, nil
	}
	run := &Run{chunks: make([]*chunk, len(r.Chunks))}
	for i, id := range r.Chunks {
		c, err := l.chunk(id)
		if err != nil {
			return nil, fmt.Errorf("node %d: %w", r.ID, err)
		}
		if i > 0 {
			if err := inOrder(run.chunks[i-1].last(), c.tables[0]); err != nil {
				return nil, fmt.Errorf("node %d: %w", r.ID, err)
			}
		}
		run.chunks[i] = c
		run.Tables = append(run.Tables, c.tables...)
	}
	return run, nil
}

func (l *loader) chunk(id ids.ChunkID) (*chunk, error) {
	if c := l.chunks[id]; c != nil {
		return c, nil
	}
	names, ok := l.state.Chunks[id]
	if !ok {
		return nil, fmt.Errorf("names chunk %d, which the manifest does not know", id)
	}
	tables, err := l.list(names)
	if err != nil {
		return nil, fmt.Errorf("chunk %d: %w", id, err)
	}
	if len(tables) == 0 {
		return nil, fmt.Errorf("chunk %d is empty", id)
	}
	l.chunks[id] = l.t.newChunk(id, tables)
	return l.chunks[id], nil
}

func (l *loader) list(names []ids.TableID) ([]*Table, error) {
	tables := make([]*Table, len(names))
	for i, id := range names {
		tb := l.tables[id]
		if tb == nil {
			m, ok := l.state.Tables[id]
			if !ok {
				return nil, fmt.Errorf("names table %d, which the manifest does not know", id)
			}
			if err := validBounds(&m); err != nil {
				return nil, err
			}
			tb = l.t.addTable(m)
			l.tables[id] = tb
		}
		if i > 0 {
			if err := inOrder(tables[i-1], tb); err != nil {
				return nil, err
			}
		}
		tables[i] = tb
	}
	return tables, nil
}

func inOrder(a, b *Table) error {
	if bytes.Compare(a.Meta.Largest, b.Meta.Smallest) >= 0 {
		return fmt.Errorf("tables %d and %d overlap", a.Meta.ID, b.Meta.ID)
	}
	return nil
}

func validBounds(m *sstable.Meta) error {
	if m.Rows == 0 || m.Length == 0 || bytes.Compare(m.Smallest, m.Largest) > 0 {
		return fmt.Errorf("table %d: impossible description", m.ID)
	}
	return nil
}
