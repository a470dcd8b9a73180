package forktree

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// job is work that has claimed its nodes and read them, and goes on in steps. A step
// is what a store does without letting anybody else in between.
type job struct {
	claims []*Claim // not given back yet
	step   func() (done bool)
	file   ids.FileNum
	used   bool // the tree knows tables of the file
}

// claim asks the tree, or with the rule switched off takes what it wants.
func (s *protocolStore) claim(rng []*Node) *Claim {
	if s.off != "claim" {
		return s.tree.Claim(rng)
	}
	type flags struct {
		writer bool
		reads  int32
	}
	saved := make([]flags, len(rng))
	for i, n := range rng {
		saved[i] = flags{n.writer, n.reads}
		n.writer = false
	}
	rng[0].reads = 0
	c := s.tree.Claim(rng)
	for i, n := range rng {
		n.writer = saved[i].writer || c != nil && i == 0
	}
	rng[0].reads += saved[0].reads
	return c
}

// stretch gives up to n nodes from x downwards that all are of one form.
func stretch(x *Node, n int, memory bool) []*Node {
	var out []*Node
	for y := range Path(x) {
		if len(out) == n || (y.Mem != nil) != memory {
			break
		}
		out = append(out, y)
	}
	return out
}

func (s *protocolStore) begin() {
	if s.chance(7) {
		s.beginRelocation()
		return
	}
	nodes := s.tree.Nodes()
	if len(nodes) == 0 {
		return
	}
	n := nodes[s.rand.Intn(len(nodes))]
	switch {
	case n.Mem == nil && s.chance(35):
		s.beginRewrite(n)
	case n.Mem == nil:
		s.beginMerge(stretch(n, 1+s.rand.Intn(3), false))
	case s.chance(30):
		s.beginConsolidation(stretch(n, 2+s.rand.Intn(2), true))
	default:
		s.beginFlush(n, nodes)
	}
}

// start files a job; nothing is kept of one that could claim nothing.
func (s *protocolStore) start(j *job, step func() bool) {
	if len(j.claims) > 0 {
		j.step = step
		s.jobs = append(s.jobs, j)
	}
}

// advance takes a job a step further.
func (s *protocolStore) advance(j *job) {
	if j.step() {
		s.jobs = slices.DeleteFunc(s.jobs, func(x *job) bool { return x == j })
	}
}

// giveBack ends what a job has claimed. A file of which the tree knows no table goes.
func (s *protocolStore) giveBack(j *job) {
	for _, c := range j.claims {
		s.tree.Unclaim(c)
	}
	j.claims = nil
	if j.file != 0 && !j.used {
		s.zombies = append(s.zombies, zombie{file: j.file})
	}
}

// output writes rows as tables into the job's file.
func (s *protocolStore) output(j *job, all *rows, offset *uint64) []sstable.Meta {
	if j.file == 0 {
		j.file = ids.FileNum(s.id())
		s.files[j.file] = true
	}
	perTable := []int{2, 3, keyCount}[s.rand.Intn(3)]
	return s.data.write(all, perTable, j.file, func() ids.TableID { return ids.TableID(s.id()) }, offset)
}

// beginFlush packs n, and perhaps more memory nodes, into one file. A node with
// range deletes waits until all older ones are in tables.
func (s *protocolStore) beginFlush(n *Node, nodes []*Node) {
	j := &job{}
	var install []func()
	var offset uint64
	for _, n := range append([]*Node{n}, nodes[:s.rand.Intn(len(nodes)+1)]...) {
		if n.Mem == nil || len(j.claims) == 3 || slices.ContainsFunc(j.claims, func(c *Claim) bool { return c.Swap == n }) {
			continue
		}
		mem, below := n.Mem.(*memory), layers(n.Older)
		if mem.covered != 0 && slices.ContainsFunc(below, func(l layer) bool { return l.mem != nil }) {
			s.saw("a range waits for memory")
			if s.off != "rangewait" {
				continue
			}
		}
		c := s.claim([]*Node{n})
		if c == nil {
			continue
		}
		all := mem.rows
		found := s.resolve(&all, mem.covered, below)
		metas := s.output(j, &all, &offset)
		j.claims = append(j.claims, c)
		install = append(install, func() {
			s.installing(c, found, func(found []TableMarks) { s.tree.InstallTables(c, s.tree.NewRun(metas), found) })
			j.used = j.used || len(metas) > 0
			s.saw("flush")
		})
	}
	s.start(j, func() bool { return s.installAll(j, install) })
}

func (s *protocolStore) beginConsolidation(rng []*Node) {
	if len(rng) < 2 {
		return
	}
	c := s.claim(rng)
	if c == nil {
		return
	}
	all := new(memory)
	for _, n := range rng {
		all.over(n.Mem.(*memory))
	}
	j := &job{claims: []*Claim{c}}
	install := func() {
		low := c.Swap.Low
		s.tree.InstallMemory(c, all)
		if s.off == "lowater" {
			c.Swap.Low = low
		}
		s.saw("consolidation")
	}
	s.start(j, func() bool { return s.installAll(j, []func(){install}) })
}

// installAll installs what is still wanted of a job's claims, publishes it in the
// same step, and gives the claims back.
func (s *protocolStore) installAll(j *job, install []func()) (done bool) {
	for i, c := range j.claims {
		if c.Wanted() && s.fits(c) {
			install[i]()
		} else {
			s.saw("job discarded")
		}
	}
	s.publish()
	s.giveBack(j)
	return true
}

// fits tells whether the nodes are still of the form that the job read. They
// always are, unless claims are switched off: then what is shown is that the
// assertions which a job would break first are not all that claims are for.
func (s *protocolStore) fits(c *Claim) bool {
	if s.off != "claim" {
		return true
	}
	c.Swap.writer = true
	inTables := len(c.runs) > 0
	return !slices.ContainsFunc(c.Range, func(n *Node) bool { return (n.Run != nil) != inTables })
}

// beginMerge makes one run of a range. Some of the tables that no other of the range
// overlaps are taken over as they are, and all others are read. The marks of the
// range's nodes are applied to what is read.
func (s *protocolStore) beginMerge(rng []*Node) {
	c := s.claim(rng)
	if c == nil {
		return
	}
	var filled []*Run
	for _, n := range rng {
		if len(n.Run.Tables) > 0 {
			filled = append(filled, n.Run)
		}
	}
	j := &job{claims: []*Claim{c}}
	if len(rng) > 1 && len(filled) == 1 {
		s.startReplacing(j, "join", nil, func() *Replacement { return s.tree.Replace(c, filled[0], nil, nil) })
		return
	}
	dead := map[*Table]set{}
	for _, n := range rng {
		for _, m := range n.Marks() {
			dead[m.Table] |= m.dead()
		}
	}
	var parts []runPart
	var consumed []*Table
	var found []TableMarks
	var offset uint64
	remap, below := sstable.NewRemapBuilder(), layers(rng[len(rng)-1].Older)
	for _, tables := range overlapping(filled) {
		if len(filled) > 1 && len(tables) == 1 && s.chance(60) {
			parts = append(parts, runPart{kept: tables[0]})
			continue
		}
		all := new(mixing)
		for _, tb := range tables {
			if dead[tb] != 0 {
				s.saw("dead rows left out")
			}
			all.add(tb, s.data[tb.Meta.ID], dead[tb], remap.From(tb.Meta.ID, tb.Meta.Rows))
		}
		consumed = append(consumed, tables...)
		found = append(found, s.resolve(&all.rows, 0, below)...)
		metas := s.output(j, &all.rows, &offset)
		for _, m := range metas {
			all.keep(remap, m.ID, s.data[m.ID])
		}
		parts = append(parts, runPart{metas: metas})
	}
	done := remap.Finish()
	s.startReplacing(j, "merge", found, func() *Replacement {
		tables, kept := s.assemble(j, parts)
		if len(kept) > 0 {
			s.saw("merge that takes tables over")
		}
		for _, tb := range kept {
			if tb.held > 1 {
				s.saw("merge that takes a shared table over")
			}
			if slices.ContainsFunc(tb.holders, func(m *Marks) bool { return m.Node != c.Swap && slices.Contains(c.Range, m.Node) }) {
				s.saw("merge that inherits the marks of a table it takes over")
			}
		}
		return s.tree.Replace(c, s.tree.RunOf(tables), consumed, done)
	})
}

// overlapping gives the tables of some runs, newest first, in groups that do not
// overlap each other, in key order.
func overlapping(runs []*Run) (groups [][]*Table) {
	var all []*Table
	age := map[*Table]int{}
	for i, r := range runs {
		for _, tb := range r.Tables {
			all = append(all, tb)
			age[tb] = i
		}
	}
	slices.SortStableFunc(all, func(a, b *Table) int { return bytes.Compare(a.Meta.Smallest, b.Meta.Smallest) })
	var largest []byte // of the last group
	for _, tb := range all {
		if n := len(groups); n > 0 && bytes.Compare(tb.Meta.Smallest, largest) <= 0 {
			groups[n-1] = append(groups[n-1], tb)
		} else {
			groups, largest = append(groups, []*Table{tb}), nil
		}
		if bytes.Compare(tb.Meta.Largest, largest) > 0 {
			largest = tb.Meta.Largest
		}
	}
	for _, g := range groups {
		slices.SortStableFunc(g, func(a, b *Table) int { return cmp.Compare(age[a], age[b]) })
	}
	return groups
}

// runPart is a part of a new run: a table that is taken over, or new ones.
type runPart struct {
	kept  *Table
	metas []sstable.Meta
}

// assemble gives the tables of a run, and those of them that are taken over.
func (s *protocolStore) assemble(j *job, parts []runPart) (tables, kept []*Table) {
	for _, p := range parts {
		if p.kept != nil {
			tables, kept = append(tables, p.kept), append(kept, p.kept)
			continue
		}
		tables = append(tables, s.tree.NewTables(p.metas)...)
		j.used = j.used || len(p.metas) > 0
	}
	return tables, kept
}

// beginRewrite reads some tables of one node, without the rows that are dead on
// every path to it, and keeps the others.
func (s *protocolStore) beginRewrite(n *Node) {
	if len(n.Run.Tables) == 0 {
		return
	}
	c := s.claim([]*Node{n})
	if c == nil {
		return
	}
	dead := map[*Table]set{}
	for _, x := range s.through(n) {
		for _, m := range x.Marks() {
			dead[m.Table] |= m.dead()
		}
	}
	j := &job{claims: []*Claim{c}}
	var parts []runPart
	var consumed []*Table
	var found []TableMarks
	var offset uint64
	remap, below := sstable.NewRemapBuilder(), layers(n.Older)
	for _, tb := range n.Run.Tables {
		if s.chance(50) {
			parts = append(parts, runPart{kept: tb})
			continue
		}
		if dead[tb] != 0 {
			s.saw("dead rows rewritten")
		}
		consumed = append(consumed, tb)
		var all mixing
		all.add(tb, s.data[tb.Meta.ID], dead[tb], remap.From(tb.Meta.ID, tb.Meta.Rows))
		found = append(found, s.resolve(&all.rows, 0, below)...)
		metas := s.output(j, &all.rows, &offset)
		for _, m := range metas {
			all.keep(remap, m.ID, s.data[m.ID])
		}
		parts = append(parts, runPart{metas: metas})
	}
	done := remap.Finish()
	s.startReplacing(j, "rewrite", found, func() *Replacement {
		tables, _ := s.assemble(j, parts)
		if len(consumed) > 0 && len(consumed) < len(n.Run.Tables) {
			s.saw("rewrite of some tables")
		}
		return s.tree.Replace(c, s.tree.RunOf(tables), consumed, done)
	})
}

// startReplacing files a job that puts a run into the tree: prepare, stage in slices,
// install or abandon, sweep in slices.
func (s *protocolStore) startReplacing(j *job, name string, found []TableMarks, prepare func() *Replacement) {
	c := j.claims[0]
	var r *Replacement
	s.start(j, func() bool {
		switch {
		case r == nil:
			if !c.Wanted() || !s.fits(c) {
				s.saw("job discarded")
				s.giveBack(j)
				return true
			}
			r = prepare()
			if s.chance(60) {
				return false
			}
			s.installRun(j, r, name, found)
			return r.Staged() == 0
		case r.state != replacementPrepared:
			s.saw("swept")
			more := s.sweep(r, 1+s.rand.Intn(2))
			s.publish()
			return !more
		case r.Todo() > 0 && s.chance(70):
			s.saw("staged")
			s.stage(r, 1+s.rand.Intn(2))
			s.publish()
			return false
		}
		s.installRun(j, r, name, found)
		return r.Staged() == 0
	})
}

func (s *protocolStore) installRun(j *job, r *Replacement, name string, found []TableMarks) {
	c := r.claim
	if c.Wanted() && s.fits(c) {
		across := slices.ContainsFunc(c.Range[1:], func(n *Node) bool { return n.Holders() > 1 })
		s.installing(c, found, func(found []TableMarks) { s.install(r, found) })
		if s.saw(name); across {
			s.saw(name + " across a branch point")
		}
		if r.Staged() > 0 {
			s.saw(name + " under marks")
		}
	} else {
		s.saw("job abandoned")
		s.tree.Abandon(r)
	}
	if s.off == "onetxn" {
		s.delayed = c.Swap
	}
	s.publish()
	s.giveBack(j)
}

// installing calls an install with what the claim's job has found dead.
func (s *protocolStore) installing(c *Claim, found []TableMarks, install func([]TableMarks)) {
	hits := func(r *Replacement) bool {
		return slices.ContainsFunc(found, func(m TableMarks) bool { return slices.Contains(r.consumed, m.Table) })
	}
	if slices.ContainsFunc(c.missed, hits) {
		s.saw("prepared marks carried over")
	}
	for r := range s.tree.replacements {
		if c.Swap.above(r.claim.Swap) && hits(r) {
			s.saw("marks installed over a staged replacement")
			break
		}
	}
	s.letInstall(c, found, install)
}
