package forktree

import (
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// job is work that has claimed its nodes and read them, and installs later.
type job struct {
	claims  []*Claim
	install []func() // one for each claim
	file    ids.FileNum
	used    bool // an install took tables of the file
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
	nodes := s.tree.Nodes()
	if len(nodes) == 0 {
		return
	}
	n := nodes[s.rand.Intn(len(nodes))]
	switch {
	case n.Mem == nil:
		s.beginMerge(stretch(n, 1+s.rand.Intn(4), false))
	case s.chance(40):
		s.beginConsolidation(stretch(n, 2+s.rand.Intn(2), true))
	default:
		s.beginFlush(n, nodes)
	}
}

// start files a job; nothing is kept of one that could claim nothing.
func (s *protocolStore) start(j *job) {
	if len(j.claims) > 0 {
		s.jobs = append(s.jobs, j)
	}
}

// output writes rows as tables into the job's file, without the tombstones that
// nothing below needs.
func (s *protocolStore) output(j *job, all rows, below *Node, offset *uint64) []sstable.Meta {
	older := s.data.content(nil, below)
	for k, v := range all {
		if v == tombstone && older[k] == 0 {
			all[k] = 0
			s.saw("tombstone dropped")
		}
	}
	if j.file == 0 {
		j.file = ids.FileNum(s.id())
		s.files[j.file] = true
	}
	perTable := []int{2, 3, keyCount}[s.rand.Intn(3)]
	return s.data.write(&all, perTable, j.file, func() ids.TableID { return ids.TableID(s.id()) }, offset)
}

// beginFlush packs n, and perhaps more memory nodes, into one file.
func (s *protocolStore) beginFlush(n *Node, nodes []*Node) {
	j := &job{}
	var offset uint64
	for _, n := range append([]*Node{n}, nodes[:s.rand.Intn(len(nodes)+1)]...) {
		if n.Mem == nil || len(j.claims) == 3 || slices.ContainsFunc(j.claims, func(c *Claim) bool { return c.Swap == n }) {
			continue
		}
		c := s.claim([]*Node{n})
		if c == nil {
			continue
		}
		metas := s.output(j, *n.Mem.(*rows), n.Older, &offset)
		j.claims = append(j.claims, c)
		j.install = append(j.install, func() {
			s.tree.InstallTables(c, s.tree.NewRun(metas), nil)
			j.used = j.used || len(metas) > 0
			s.saw("flush")
		})
	}
	s.start(j)
}

func (s *protocolStore) beginMerge(rng []*Node) {
	c := s.claim(rng)
	if c == nil {
		return
	}
	j := &job{claims: []*Claim{c}}
	var all rows
	var filled []*Run
	for _, n := range rng {
		all.under(s.data.run(n.Run))
		if len(n.Run.Tables) > 0 {
			filled = append(filled, n.Run)
		}
	}
	saw := func(what string) {
		s.saw(what)
		if slices.ContainsFunc(rng[1:], func(n *Node) bool { return n.Holders() > 1 }) {
			s.saw(what + " across a branch point")
		}
	}
	if len(rng) > 1 && len(filled) == 1 {
		j.install = append(j.install, func() { saw("join"); s.tree.installMerge(c, filled[0]) })
		s.start(j)
		return
	}
	var offset uint64
	metas := s.output(j, all, rng[len(rng)-1].Older, &offset)
	j.install = append(j.install, func() {
		saw("merge")
		s.tree.installMerge(c, s.tree.NewRun(metas))
		j.used = len(metas) > 0
	})
	s.start(j)
}

func (s *protocolStore) beginConsolidation(rng []*Node) {
	if len(rng) < 2 {
		return
	}
	c := s.claim(rng)
	if c == nil {
		return
	}
	all := new(rows)
	for _, n := range rng {
		all.under(n.Mem.(*rows))
	}
	j := &job{claims: []*Claim{c}}
	j.install = append(j.install, func() {
		low := c.Swap.Low
		s.tree.InstallMemory(c, all)
		if s.off == "lowater" {
			c.Swap.Low = low
		}
		s.saw("consolidation")
	})
	s.start(j)
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

// finish installs what is still wanted, publishes it in the same step, and gives
// the claims back.
func (s *protocolStore) finish(j *job) {
	s.jobs = slices.DeleteFunc(s.jobs, func(x *job) bool { return x == j })
	for i, c := range j.claims {
		if c.Wanted() && s.fits(c) {
			j.install[i]()
		} else {
			s.saw("job discarded")
		}
	}
	s.publish()
	for _, c := range j.claims {
		s.tree.Unclaim(c)
	}
	if j.file != 0 && !j.used {
		s.zombies = append(s.zombies, zombie{file: j.file})
	}
}
