package forktree

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// snapshotOrder is snapshots sorted by name, in pages. No page is empty. Finding one
// costs O(log n), putting and taking O(a page + pages).
type snapshotOrder struct {
	pages [][]*Snapshot
}

// snapshotPage is how many snapshots a page has at most.
const snapshotPage = 256

// find gives the place of the first snapshot whose name is not before name; there may
// be none behind the last page.
func (o *snapshotOrder) find(name string) (page, at int) {
	page, _ = slices.BinarySearchFunc(o.pages, name, func(p []*Snapshot, name string) int {
		return cmp.Compare(p[len(p)-1].Name, name)
	})
	if page == len(o.pages) {
		return page, 0
	}
	at, _ = slices.BinarySearchFunc(o.pages[page], name, func(s *Snapshot, name string) int { return cmp.Compare(s.Name, name) })
	return page, at
}

// named gives the snapshot of that name, nil if there is none.
func (o *snapshotOrder) named(name string) *Snapshot {
	page, at := o.find(name)
	if page == len(o.pages) || o.pages[page][at].Name != name {
		return nil
	}
	return o.pages[page][at]
}

// put adds a snapshot whose name is not there.
func (o *snapshotOrder) put(s *Snapshot) {
	page, at := o.find(s.Name)
	if page == len(o.pages) {
		if page == 0 || len(o.pages[page-1]) == snapshotPage {
			o.pages = append(o.pages, []*Snapshot{s}) // names that come in order fill their pages
			return
		}
		page, at = page-1, len(o.pages[page-1])
	}
	if p := o.pages[page]; len(p) == snapshotPage {
		const half = snapshotPage / 2
		o.pages = slices.Insert(o.pages, page+1, slices.Clone(p[half:]))
		clear(p[half:])
		o.pages[page] = p[:half]
		if at > half {
			page, at = page+1, at-half
		}
	}
	o.pages[page] = slices.Insert(o.pages[page], at, s)
}

// take removes the snapshot of that name, which is there.
func (o *snapshotOrder) take(name string) {
	page, at := o.find(name)
	o.pages[page] = slices.Delete(o.pages[page], at, at+1)
	if len(o.pages[page]) == 0 {
		o.pages = slices.Delete(o.pages, page, page+1)
		return
	}
	for _, left := range []int{page - 1, page} {
		if left < 0 || left+1 >= len(o.pages) {
			continue
		}
		if a, b := o.pages[left], o.pages[left+1]; len(a)+len(b) <= snapshotPage*2/3 {
			o.pages[left] = append(a, b...)
			o.pages = slices.Delete(o.pages, left+1, left+2)
			return
		}
	}
}

// from gives the snapshots whose names are not before name, by name.
func (o *snapshotOrder) from(name string) iter.Seq[*Snapshot] {
	return func(yield func(*Snapshot) bool) {
		page, at := o.find(name)
		for ; page < len(o.pages); page, at = page+1, 0 {
			for _, s := range o.pages[page][at:] {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Snapshots gives all snapshots, by name.
func (t *Tree) Snapshots() []*Snapshot {
	out := make([]*Snapshot, 0, len(t.snaps))
	return slices.AppendSeq(out, t.snapOrder.from(""))
}

// SnapshotsWithPrefix gives at most limit snapshots whose names begin with prefix and come
// after the name after, by name. Cost: O(log snapshots + those).
func (t *Tree) SnapshotsWithPrefix(prefix, after string, limit int) (out []*Snapshot) {
	for s := range t.snapOrder.from(max(prefix, after)) {
		if len(out) == limit || !strings.HasPrefix(s.Name, prefix) {
			break
		}
		if s.Name > after {
			out = append(out, s)
		}
	}
	return out
}

// verifySnapshots compares the order with what is there.
func (t *Tree) verifySnapshots() error {
	count, last := 0, ""
	for _, page := range t.snapOrder.pages {
		if len(page) == 0 || len(page) > snapshotPage {
			return fmt.Errorf("a page of %d snapshots", len(page))
		}
		for _, s := range page {
			if t.snaps[s.ID] != s || s.Name <= last {
				return fmt.Errorf("snapshot %d is listed as %q behind %q", s.ID, s.Name, last)
			}
			last = s.Name
			count++
		}
	}
	if count != len(t.snaps) {
		return fmt.Errorf("%d snapshots are listed, there are %d", count, len(t.snaps))
	}
	return nil
}
