package engine

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

// checker is one check of one store. It holds the store's lock and uses a Store
// that was never opened to read through; one goroutine uses it.
//
// It climbs as far as it gets: manifest, log, tree, files, tables, contents. What
// fails is a problem; the steps above it are replaced by what can be checked
// without it (checkalone.go).
type checker struct {
	s      *Store
	level  CheckLevel
	report *CheckReport

	known     map[problemKey]int   // where a problem stands in the report
	named     map[ids.FileNum]bool // files that the manifest names; made when first asked for
	scanSlack uint64               // see contentsOf

	state    *manifest.State // nil: the manifest cannot be read
	manifest manifest.Info
	log      *wal.Recovered // nil: the log cannot be replayed
	tree     *forktree.Tree // nil: no tree can be made
	reach    *reach         // made when the first problem needs it
}

func (c *checker) run() error {
	if err := c.readManifest(); err != nil {
		return err
	}
	if err := c.readLog(); err != nil {
		return err
	}
	if err := c.checkTree(); err != nil {
		return err
	}
	if err := c.checkFiles(); err != nil {
		return err
	}
	if err := c.checkTables(); err != nil {
		return err
	}
	if c.level == CheckDeep && c.tree != nil {
		if err := c.deep(); err != nil {
			return err
		}
	}
	c.report.Damage = c.damage()
	return nil
}

func (c *checker) readManifest() error {
	state, info, err := manifest.Load(c.s.fs, c.s.dir)
	if err != nil {
		if c.problem(err) != nil {
			return nil
		}
		return err
	}
	c.state, c.manifest = state, info
	if info.TornOffset >= 0 {
		c.report.TornManifest = true
		c.report.TornManifestAt = Place{File: info.Name, Offset: info.TornOffset}
	}
	return nil
}

// readLog replays the log over the manifest and makes the tree of them. If that
// cannot be done, the segments are checked one by one.
func (c *checker) readLog() error {
	if c.state == nil {
		return c.logAlone()
	}
	rp := newReplay(c.state)
	rec, err := wal.Replay(c.s.fs, c.s.dir, c.state.Trimmed, func(rec wal.Record) error {
		c.report.LogRecords++
		return rp.record(rec)
	})
	if err == nil && rec.Last < c.state.Applied {
		err = errs.Corruptf("the log", -1, "it ends at LSN %d, but the manifest has the effect of LSN %d", rec.Last, c.state.Applied)
	}
	if err == nil {
		c.log = rec
		c.report.LastLSN = uint64(rec.Last)
		if rec.Torn {
			c.report.TornLog = true
			c.report.TornLogAt = Place{File: rec.TornFile, Offset: rec.TornOffset}
		}
		c.tree, err = rp.tree()
	}
	if err == nil {
		return nil
	}
	p := c.problem(err)
	if p == nil {
		return err
	}
	// Nothing that the log says is certain now, so every fork is hit.
	p.Forks, p.Keys = reachOfState(c.state).allNames(), &Range{}
	if c.log == nil {
		return c.logAlone()
	}
	return nil
}

// checkTree looks at what Load has not looked at: the counts, and who descends
// from whom. A parent may be gone, but it was there before its children.
func (c *checker) checkTree() error {
	t := c.tree
	if t == nil {
		if c.state != nil {
			c.report.Forks, c.report.Snapshots = c.state.Forks.Len(), len(c.state.Snapshots)
			c.report.Nodes, c.report.Tables = len(c.state.Nodes), len(c.state.Tables)
		}
		return nil
	}
	if err := t.Verify(nil, nil); err != nil {
		return fmt.Errorf("the tree that was recovered contradicts itself: %w", err)
	}
	for _, f := range t.Forks() {
		parent, there := t.ForkRecord(f.Parent)
		switch {
		case f.Parent >= f.ID:
			c.add(Problem{File: "the log and the manifest", Offset: -1, Forks: []string{f.Name},
				Text: fmt.Sprintf("fork %q has a parent that is not older than it: fork %d is made from fork %d", f.Name, f.ID, f.Parent)})
		case there && f.CreatedLSN != 0 && parent.CreatedLSN >= f.CreatedLSN:
			c.add(Problem{File: "the log and the manifest", Offset: -1, Forks: []string{f.Name},
				Text: fmt.Sprintf("fork %q was made at LSN %d, before its parent %q at LSN %d", f.Name, f.CreatedLSN, parent.Name, parent.CreatedLSN)})
		}
	}
	c.s.mu.tree = t
	r := c.report
	r.Forks, r.Snapshots, r.Nodes = t.ForkCount(), t.SnapshotCount(), t.NodeCount()
	r.Tables, r.Files, r.TableBytes = t.TableCount(), t.FileCount(), t.LiveBytes()
	return nil
}

// metas lists the tables to be checked, by file and offset: those that the tree
// reaches or, without a tree, those that the manifest names.
func (c *checker) metas() []*sstable.Meta {
	var out []*sstable.Meta
	switch {
	case c.tree != nil:
		for _, t := range c.tree.Tables() {
			out = append(out, t.Place.Meta())
		}
	case c.state != nil:
		for _, id := range slices.Sorted(maps.Keys(c.state.Tables)) {
			m := c.state.Tables[id]
			out = append(out, &m)
		}
	}
	slices.SortFunc(out, func(a, b *sstable.Meta) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Offset, b.Offset))
	})
	return out
}

// unreadable tells an error that says nothing about the bytes.
func unreadable(err error) bool { return !errors.Is(err, errs.ErrCorrupt) }

// faultProblem makes a problem of what sstable found.
func faultProblem(f *sstable.Fault, table ids.TableID) Problem {
	p := Problem{File: f.File, Offset: f.Offset, Length: f.Length, Text: f.Err.Error(), Unreadable: unreadable(f.Err), table: table}
	var ce *errs.CorruptError
	if errors.As(f.Err, &ce) {
		p.Text = ce.Err.Error()
	}
	if f.Upper != nil {
		p.Keys = &Range{Lower: f.Lower, Upper: f.Upper}
	}
	return p
}
