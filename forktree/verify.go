package forktree

import (
	"fmt"
	"slices"

	"github.com/tinedb/tine/internal/ids"
)

// Verify recomputes every count of the tree from its forks, snapshots and the
// claims and pins that the caller knows of, and compares it with the counts that
// are kept. claims are the open claims; pins tells how often each run is pinned
// by views. It costs O(everything) and is meant for tests and for check.
func (t *Tree) Verify(claims []*Claim, pins map[*Run]int) error {
	refs := map[*Node]int32{}
	jobs := map[*Node]int32{}
	wantPins := map[*Run]int32{}
	if err := t.verifyForks(); err != nil {
		return err
	}
	for after, more := ids.ForkID(0), true; more; {
		after, more = t.forks.Tops(after, restEvery, func(top ids.NodeID) { refs[t.nodes[top]]++ })
	}
	if err := t.verifySnapshots(); err != nil {
		return err
	}
	for _, s := range t.snaps {
		refs[s.Node]++
	}
	if len(claims) != len(t.claims) {
		return fmt.Errorf("%d claims are open, the tree knows %d", len(claims), len(t.claims))
	}
	for _, c := range claims {
		for _, n := range c.Range {
			refs[n]++
			jobs[n]++
		}
		for _, r := range c.runs {
			wantPins[r]++
		}
	}
	for r, k := range pins {
		wantPins[r] += int32(k)
	}
	for r := range t.replacements {
		wantPins[r.run]++
	}
	for _, n := range t.nodes {
		refs[n.Older]++
	}
	delete(refs, nil)
	holders := map[*Run]int32{}
	var memoryBytes int64
	memoryNodes := 0
	for id, n := range t.nodes {
		if n.refs != refs[n] || n.jobs != jobs[n] {
			return fmt.Errorf("node %d: counts %d references, %d of jobs; there are %d and %d", id, n.refs, n.jobs, refs[n], jobs[n])
		}
		if n.freed != (n.refs == 0) {
			return fmt.Errorf("node %d: freed is %v with %d references", id, n.freed, n.refs)
		}
		if (n.Mem == nil) == (n.Run == nil) {
			return fmt.Errorf("node %d: must be either in memory or in tables", id)
		}
		if n.Older != nil && n.Older.ID >= n.ID {
			return fmt.Errorf("node %d lies above node %d, which is not older", id, n.Older.ID)
		}
		if n.Mem != nil {
			memoryBytes += n.Mem.Bytes()
			memoryNodes++
		} else {
			holders[n.Run]++
		}
	}
	if err := t.verifyKids(); err != nil {
		return err
	}
	for n := range refs {
		if t.nodes[n.ID] != n {
			return fmt.Errorf("node %d is referenced but not in the tree", n.ID)
		}
	}
	if memoryBytes != t.memoryBytes || memoryNodes != t.memoryNodes {
		return fmt.Errorf("memory: counts %d bytes in %d nodes, there are %d in %d", t.memoryBytes, t.memoryNodes, memoryBytes, memoryNodes)
	}
	if err := t.verifyMarks(); err != nil {
		return err
	}
	if err := t.verifyTables(holders, wantPins); err != nil {
		return err
	}
	return t.verifySizes()
}

// verifyKids holds the lists of kids against the nodes that lie on others.
func (t *Tree) verifyKids() error {
	listed := 0
	for id, n := range t.nodes {
		var before *Node
		for kid := n.kids; kid != nil; before, kid = kid, kid.nextKid {
			if kid.Older != n || kid.prevKid != before || t.nodes[kid.ID] != kid {
				return fmt.Errorf("node %d counts node %d among those that lie on it", id, kid.ID)
			}
			listed++
		}
		if n.Older != nil {
			listed--
		}
	}
	if listed != 0 {
		return fmt.Errorf("nodes that lie on others: %d more are listed than there are", listed)
	}
	return nil
}

// verifyMarks holds the two lists of marks against each other.
func (t *Tree) verifyMarks() error {
	count, memory := 0, int64(0)
	for _, n := range t.nodes {
		for i, m := range n.marks {
			count++
			memory += m.Vector.Bytes()
			switch {
			case i > 0 && n.marks[i-1].Table.Meta.ID >= m.Table.Meta.ID:
				return fmt.Errorf("node %d: its marks are out of order", n.ID)
			case m.Node != n || m.place >= len(m.Table.holders) || m.Table.holders[m.place] != m:
				return fmt.Errorf("node %d: table %d does not know of its marks", n.ID, m.Table.Meta.ID)
			case m.Vector.Rows() != m.Table.Meta.Rows:
				return fmt.Errorf("node %d: a vector over %d rows for table %d with %d", n.ID, m.Vector.Rows(), m.Table.Meta.ID, m.Table.Meta.Rows)
			case n.Run == nil:
				return fmt.Errorf("node %d is in memory and has marks", n.ID)
			}
		}
	}
	for _, tb := range t.tables {
		for i, m := range tb.holders {
			if m.place != i || m.Node.MarksOn(tb) != m {
				return fmt.Errorf("table %d: node %d does not know of its marks", tb.Meta.ID, m.Node.ID)
			}
		}
	}
	if count != t.markCount || memory != t.markBytes {
		return fmt.Errorf("marks: counts %d vectors of %d bytes, there are %d of %d", t.markCount, t.markBytes, count, memory)
	}
	return nil
}

// chunkCounts are the runs that have a chunk.
type chunkCounts struct{ held, alive int32 }

// verifyChunks holds the chunks that the tree knows against those that runs have.
func (t *Tree) verifyChunks(want map[*chunk]chunkCounts) error {
	known := map[ids.ChunkID]bool{}
	for first, list := range t.chunks {
		for _, c := range list {
			n, ok := want[c]
			switch {
			case !ok:
				return fmt.Errorf("chunk %d is in no run", c.id)
			case c.held != n.held || c.alive != n.alive:
				return fmt.Errorf("chunk %d counts %d held and %d alive; there are %d and %d", c.id, c.held, c.alive, n.held, n.alive)
			case c.tables[0] != first || known[c.id] || c.id > t.lastChunk:
				return fmt.Errorf("chunk %d is filed wrongly", c.id)
			}
			known[c.id] = true
		}
	}
	if len(known) != len(want) {
		return fmt.Errorf("%d chunks are reached, the tree knows %d", len(want), len(known))
	}
	return nil
}

func (t *Tree) verifyTables(holders, pins map[*Run]int32) error {
	held, alive := map[*Table]int32{}, map[*Table]int32{}
	chunks := map[*chunk]chunkCounts{}
	list := func(tables []*Table, isHeld bool) {
		for _, tb := range tables {
			alive[tb]++
			if isHeld {
				held[tb]++
			}
		}
	}
	runs := map[*Run]bool{}
	for r := range holders {
		runs[r] = true
	}
	for r, k := range pins {
		if k > 0 {
			runs[r] = true
		}
	}
	for r := range runs {
		checkTables(r.Tables)
		if r.holders != holders[r] || r.pins != pins[r] {
			return fmt.Errorf("a run counts %d holders and %d pins; there are %d and %d", r.holders, r.pins, holders[r], pins[r])
		}
		if r.chunks == nil {
			list(r.Tables, r.holders > 0)
			continue
		}
		rest := r.Tables
		for _, c := range r.chunks {
			n := chunks[c]
			n.alive++
			if r.holders > 0 {
				n.held++
			}
			chunks[c] = n
			if len(c.tables) == 0 || len(c.tables) > len(rest) || !slices.Equal(c.tables, rest[:len(c.tables)]) {
				return fmt.Errorf("chunk %d has other tables than the run that it is in", c.id)
			}
			rest = rest[len(c.tables):]
		}
		if len(rest) > 0 {
			return fmt.Errorf("table %d is in a run and in none of its chunks", rest[0].Meta.ID)
		}
	}
	for c, n := range chunks {
		list(c.tables, n.held > 0)
	}
	if err := t.verifyChunks(chunks); err != nil {
		return err
	}
	files := map[ids.FileNum]int32{}
	liveIn := map[*file]uint64{}
	var liveBytes uint64
	for id, tb := range t.tables {
		if tb.held != held[tb] || tb.alive != alive[tb] || tb.alive == 0 {
			return fmt.Errorf("table %d counts %d held and %d alive; there are %d and %d", id, tb.held, tb.alive, held[tb], alive[tb])
		}
		m := tb.Place.Meta()
		if m.ID != id || tb.Meta.ID != id || t.files[m.File] != tb.file || tb.file.tables[tb.nth] != tb {
			return fmt.Errorf("table %d is filed wrongly in file %d", id, m.File)
		}
		files[m.File]++
		if tb.held > 0 {
			liveBytes += tb.Meta.Length
			liveIn[tb.file] += tb.Meta.Length
		}
	}
	if len(alive) != len(t.tables) {
		return fmt.Errorf("%d tables are reached, the tree knows %d", len(alive), len(t.tables))
	}
	if liveBytes != t.liveBytes {
		return fmt.Errorf("tables: counts %d live bytes, there are %d", t.liveBytes, liveBytes)
	}
	for num, f := range t.files {
		if f.alive != files[num]+f.pins || f.alive == 0 {
			return fmt.Errorf("file %d counts %d tables and pins, there are %d and %d", num, f.alive, files[num], f.pins)
		}
		if len(f.tables) != int(files[num]) || f.liveBytes != liveIn[f] || f.liveBytes > f.allBytes {
			return fmt.Errorf("file %d counts %d tables, %d of %d bytes alive; there are %d and %d", num, len(f.tables), f.liveBytes, f.allBytes, files[num], liveIn[f])
		}
		if _, listed := t.gappy[f]; listed != f.gappy() {
			return fmt.Errorf("file %d: %d of %d bytes are alive, listed as gappy: %v", num, f.liveBytes, f.allBytes, listed)
		}
		if f.pins > 0 {
			files[num] += f.pins
		}
	}
	for f := range t.gappy {
		if t.files[f.num] != f {
			return fmt.Errorf("file %d is listed as gappy and gone", f.num)
		}
	}
	if len(files) != len(t.files) {
		return fmt.Errorf("%d files are reached, the tree knows %d", len(files), len(t.files))
	}
	return nil
}
