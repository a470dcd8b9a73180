package forktree

import (
	"slices"

	"github.com/tinedb/tine/manifest"
)

// What a tree does with marks, and what it would do with one rule switched off.

func (s *protocolStore) stage(r *Replacement, max int) {
	if s.off == "translate" {
		r.todo = nil
	}
	s.tree.Stage(r, max)
}

// install swaps the run in.
func (s *protocolStore) install(r *Replacement, found []TableMarks) {
	switch s.off {
	case "translate":
		r.todo = nil
	case "byrow":
		s.inheritByKey(r)
	case "inherit":
		for _, n := range r.claim.Range[1:] {
			defer func(marks []*Marks) { n.marks = marks }(n.marks)
			n.marks = nil
		}
	}
	s.tree.Install(r, found)
	if s.off != "sweep" {
		return
	}
	for _, tb := range r.consumed {
		for _, m := range slices.Clone(tb.holders) {
			s.tree.dropMarks(m.Node, tb)
		}
	}
}

// inheritByKey marks the rows of new tables whose keys are those of marked rows.
func (s *protocolStore) inheritByKey(r *Replacement) {
	for _, tb := range r.consumed {
		for _, m := range slices.Clone(tb.holders) {
			if m.Node.freed || !m.Node.above(r.claim.Swap) {
				continue
			}
			dead, row := m.dead(), 0
			for k, v := range s.data[tb.Meta.ID] {
				if v == 0 {
					continue
				}
				if dead.has(row) {
					s.markKey(m.Node, r, k)
				}
				row++
			}
		}
	}
}

func (s *protocolStore) markKey(n *Node, r *Replacement, key int) {
	tb := r.run.Find([]byte{byte(key)})
	if tb == nil || s.data[tb.Meta.ID][key] == 0 {
		return
	}
	var dead set
	dead.add(s.data[tb.Meta.ID].before(key))
	s.tree.addMarks(n, tb, dead.vector(tb))
}

// letInstall runs an install with what the claim's job has found dead.
func (s *protocolStore) letInstall(c *Claim, found []TableMarks, install func([]TableMarks)) {
	switch s.off {
	case "pending":
		c.missed = nil
		found = slices.DeleteFunc(slices.Clone(found), func(m TableMarks) bool { return m.Table.held == 0 })
	case "late":
		for r := range s.tree.replacements {
			if r.claim == c {
				continue
			}
			for _, tb := range r.consumed {
				defer func(all []*Replacement) { tb.replacing = all }(tb.replacing)
				tb.replacing = nil
			}
		}
	}
	install(found)
}

func (s *protocolStore) sweep(r *Replacement, max int) (more bool) { return s.tree.Sweep(r, max) }

// leaveBehind takes out of a swap's transaction the marks of the nodes above it.
func (s *protocolStore) leaveBehind(tx *manifest.Transaction) {
	tx.AddMarks, s.behind = append(s.behind, tx.AddMarks...), nil
	if s.delayed == nil {
		return
	}
	above := func(m manifest.Marks) bool { return m.Node > s.delayed.ID }
	for _, m := range tx.AddMarks {
		if above(m) {
			s.behind = append(s.behind, m)
		}
	}
	tx.AddMarks = slices.DeleteFunc(tx.AddMarks, above)
	s.delayed = nil
}
