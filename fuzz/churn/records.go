package churn

import (
	"fmt"
	"path"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
)

// A pack is a file with the tables of at least so many nodes.
const nodesOfAPack = 8

// compareRecords demands that the manifest of a closed store names nothing that nothing
// needs: the store looks at its own counts only, and an examination at what is missing.
// atRest says that the background work came to its end just before.
func (r *run) compareRecords(fsys vfs.FS, atRest bool) error {
	state, info, err := manifest.Load(fsys, r.dir)
	if err != nil {
		return err
	}
	if err := state.Check(); err != nil {
		return err
	}
	if info.Forgotten > 0 {
		return fmt.Errorf("the manifest has %d vectors of nodes or on tables that are not there", info.Forgotten)
	}
	paths, whole := pathsOf(state)
	if whole {
		r.counts.Add("manifests that know every path", 1)
		if err := compareMarks(state, paths); err != nil {
			return err
		}
	}
	if atRest {
		return r.compareGaps(fsys, state)
	}
	return nil
}

// pathsOf gives for each node that a fork or snapshot reaches what lies below it, and
// tells whether the manifest has the records of all of them: it has not where some are
// in memory. Then it must have no others.
func pathsOf(state *manifest.State) (paths map[ids.NodeID]manifest.Node, whole bool) {
	paths = map[ids.NodeID]manifest.Node{}
	whole = true
	enter := func(id ids.NodeID) {
		for id != 0 {
			n, known := state.Nodes[id]
			if _, seen := paths[id]; seen || !known {
				whole = whole && known
				return
			}
			paths[id] = n
			id = n.Older
		}
	}
	for f := range state.Forks.All() {
		enter(f.Top)
	}
	for _, s := range state.Snapshots {
		enter(s.Node)
	}
	return paths, whole
}

// compareMarks demands that every node is reached, and that every vector is about a
// table of its node's path.
func compareMarks(state *manifest.State, paths map[ids.NodeID]manifest.Node) error {
	if len(paths) != len(state.Nodes) {
		return fmt.Errorf("the manifest has %d nodes, forks and snapshots reach %d", len(state.Nodes), len(paths))
	}
	for key := range state.Marks {
		found := false
		for id := key.Node; id != 0 && !found; id = paths[id].Older {
			n := paths[id]
			for table := range state.Run(&n) {
				found = found || table == key.Table
			}
		}
		if !found {
			return fmt.Errorf("the manifest has a vector of node %d on table %d, which is not on its path", key.Node, key.Table)
		}
	}
	return nil
}

// noteRecords counts what the manifest on a disk shows of how tables are held.
func (r *run) noteRecords(fsys vfs.FS) error {
	state, _, err := manifest.Load(fsys, r.dir)
	if err != nil {
		return err
	}
	r.notePacks(state)
	r.noteChunks(state)
	return nil
}

// notePacks counts what shares a file, and what shares a table.
func (r *run) notePacks(state *manifest.State) {
	nodes := map[ids.FileNum]map[ids.NodeID]bool{}
	runs := map[ids.TableID]int{}
	for id, n := range state.Nodes {
		for table := range state.Run(&n) {
			file := state.Tables[table].File
			if nodes[file] == nil {
				nodes[file] = map[ids.NodeID]bool{}
			}
			nodes[file][id] = true
			runs[table]++
		}
	}
	for _, in := range nodes {
		if len(in) >= nodesOfAPack {
			r.counts.Add("packs", 1)
		}
	}
	for _, n := range runs {
		if n > 1 {
			r.counts.Add("tables of several runs", 1)
		}
	}
}

// noteChunks counts what became of the chunks since the last time.
func (r *run) noteChunks(state *manifest.State) {
	runs := map[ids.ChunkID]int{}
	for _, n := range state.Nodes {
		old, fresh := 0, 0
		for _, c := range n.Chunks {
			if runs[c]++; r.chunks[c] {
				old++
			} else {
				fresh++
			}
		}
		if old > 0 && fresh > 0 {
			r.counts.Add("runs of old and new chunks", 1)
		}
	}
	for c := range r.chunks {
		if runs[c] == 0 {
			r.counts.Add("chunks that died", 1)
		}
	}
	r.chunks = map[ids.ChunkID]bool{}
	for c, n := range runs {
		r.chunks[c] = true
		if n > 1 {
			r.counts.Add("chunks of several runs", 1)
		}
	}
}

// compareGaps demands that of no file more than a fifth is dead, but for what rounding
// takes. That is what a store that is at rest has brought about.
func (r *run) compareGaps(fsys vfs.FS, state *manifest.State) error {
	live := map[ids.FileNum]uint64{}
	for _, t := range state.Tables {
		live[t.File] += t.Length
	}
	for num, n := range live {
		size, err := fsys.Size(path.Join(r.dir, ids.TableFileName(num)))
		if err != nil {
			return err
		}
		if n*5 < uint64(size)*4 {
			return fmt.Errorf("the background work is at rest, and of the %d bytes of file %d nodes need %d", size, num, n)
		}
	}
	r.counts.Add("exact checks at rest", 1)
	return nil
}
