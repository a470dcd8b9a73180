package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/iterator"
)

// content is one distinct state that forks and snapshots hold: a node, or a
// fork's memtable over its top. All that share a top share it.
type content struct {
	top   *forktree.Node
	mem   *memtable.Memtable // nil: the node alone
	names []string           // may be empty: a branch point that many contents rest on
	rows  uint64             // to be read for it, hidden ones too

	place  int // in the plain walk's order
	view   *view
	seen   digest // by the store's own reading
	plain  digest // by the plain walk
	failed bool   // it could not be read
	wrong  string // the first lookup that gave something else than the plain walk
}

// contents are what there is to read in a store, in the order of their tops from
// the root outwards.
type contents struct {
	all    []*content
	byNode map[*forktree.Node]*content // those without a memtable
	budget uint64                      // rows that may still be scanned
}

// scanSlack is how many rows a deep check may scan over and above what is stored.
// It keeps small stores scanned completely.
const scanSlack = 1 << 20

// contentsOf lists the contents. Nodes of which bad says true are left out with
// all above them.
//
// A scan of each would cost O(forks × rows) where many forks change a little of a
// large base. So the rows scanned in all are bounded by four times those stored,
// and slack; beyond that a content is read as what changed against one below it.
// The branch points become contents then, so that there is one.
func contentsOf(t *forktree.Tree, bad map[*forktree.Node]bool, slack uint64) *contents {
	k := &contents{byNode: map[*forktree.Node]*content{}, budget: slack}
	for _, f := range t.Forks() {
		if mem, _ := f.Mem.(*memtable.Memtable); !bad[f.Top] {
			k.add(f.Top, mem, f.Name)
		}
	}
	for _, n := range t.Snapshots() {
		if !bad[n.Node] {
			k.add(n.Node, nil, "@"+n.Name)
		}
	}
	var wanted uint64
	rows := map[*forktree.Node]uint64{} // of the node and all below
	for _, n := range t.Nodes() {
		rows[n] = rows[n.Older] + nodeRows(n)
		k.budget += 4 * nodeRows(n)
	}
	for _, c := range k.all {
		c.rows = rows[c.top]
		if c.mem != nil {
			c.rows += uint64(c.mem.Len())
		}
		wanted += c.rows
	}
	if wanted > k.budget {
		for _, n := range t.Entries(nil) {
			if k.byNode[n] == nil && !bad[n] {
				k.add(n, nil).rows = rows[n]
			}
		}
	}
	slices.SortStableFunc(k.all, func(a, b *content) int {
		return cmp.Or(cmp.Compare(nodeID(a.top), nodeID(b.top)), cmp.Compare(min(1, a.memRows()), min(1, b.memRows())))
	})
	return k
}

func (k *contents) add(top *forktree.Node, mem *memtable.Memtable, names ...string) *content {
	c := k.byNode[top]
	if c == nil || mem != nil {
		c = &content{top: top, mem: mem}
		k.all = append(k.all, c)
		if mem == nil {
			k.byNode[top] = c
		}
	}
	c.names = append(c.names, names...)
	return c
}

func (c *content) memRows() int {
	if c.mem == nil {
		return 0
	}
	return c.mem.Len()
}

func nodeRows(n *forktree.Node) uint64 {
	if n.Mem != nil {
		return uint64(n.Mem.Len())
	}
	return n.Run.Rows()
}

// read gives content number i its digest as the store's readers see it.
func (k *contents) read(s *Store, i int) error {
	c := k.all[i]
	s.mu.Lock()
	c.view = s.viewLocked(c.top, c.mem)
	s.mu.Unlock()
	if c.rows > k.budget {
		if below, layers := k.below(c); below != nil {
			return c.readChanges(s, below, layers)
		}
	}
	k.budget -= min(k.budget, c.rows)
	return c.scan(i%2 == 1)
}

// below finds the nearest content under c that has been read, and the number of
// c's layers above it. There is none if one of these deletes keys otherwise than by
// tombstones: then the layers do not tell what they change.
func (k *contents) below(c *content) (*content, int) {
	layers := 0
	if c.mem != nil && c.mem.HasRanges() {
		return nil, 0
	}
	for n := range forktree.Path(c.top) {
		if b := k.byNode[n]; b != nil && b != c && b.view != nil && !b.failed {
			return b, layers
		}
		if deletesBelow(n) {
			return nil, 0
		}
		if n.Mem != nil || len(n.Run.Tables) > 0 { // as in viewLocked
			layers++
		}
	}
	return nil, 0
}

func deletesBelow(n *forktree.Node) bool {
	mem, ok := n.Mem.(*memtable.Memtable)
	return len(n.Marks()) > 0 || ok && mem.HasRanges()
}

// scan walks the content as an iterator of a fork does, in either direction.
func (c *content) scan(backward bool) error {
	it := iterator.NewLive(c.view.rows(memtable.MaxLSN, Range{}), nil)
	first, next, rising := it.First, it.Next, -1
	if backward {
		first, next, rising = it.Last, it.Prev, 1
	}
	var last, buf []byte
	for ok := first(); ok; ok = next() {
		if c.seen.rows > 0 && bytes.Compare(last, it.Key()) != rising {
			_ = it.Close()
			return &errs.CorruptError{File: contentFile, Offset: -1, Forks: c.names, Err: fmt.Errorf("key %q is read behind %q", it.Key(), last)}
		}
		last = append(last[:0], it.Key()...)
		c.seen.add(rowDigest(&buf, it.Key(), it.Value()))
	}
	return it.Close()
}

// readChanges takes the digest of a content below and puts in what the layers
// above it change: for every key of which they say something, what was there before
// goes out and what is there now comes in. O(changes).
func (c *content) readChanges(s *Store, below *content, layers int) error {
	above := &view{s: s, mem: c.mem, own: c.view.layers()[:layers], dead: c.view.dead} // pinned by c.view
	it := above.rows(memtable.MaxLSN, Range{})
	c.seen = below.seen
	var old, buf []byte
	for ok := it.First(); ok; ok = it.Next() {
		var found bool
		var err error
		if old, found, err = below.view.get(old[:0], it.Key(), memtable.MaxLSN); err != nil {
			_ = it.Close()
			return err
		}
		if found {
			c.seen.sub(rowDigest(&buf, it.Key(), old))
		}
		if it.Kind() == iterator.Set {
			c.seen.add(rowDigest(&buf, it.Key(), it.Value()))
		}
	}
	return it.Close()
}

// lookup asks the content for one key as Get does and compares the answer.
func (c *content) lookup(key, want []byte, wantFound bool) (text string, err error) {
	got, found, err := c.view.get(nil, key, memtable.MaxLSN)
	if err != nil {
		return "", err
	}
	if found != wantFound || found && !bytes.Equal(got, want) {
		return fmt.Sprintf("a lookup of key %q gives %s, its nodes put together one by one give %s",
			key, shownValue(got, found), shownValue(want, wantFound)), nil
	}
	return "", nil
}

func shownValue(v []byte, found bool) string {
	if !found {
		return "nothing"
	}
	return fmt.Sprintf("%d bytes (%016x)", len(v), xxhash.Sum64(v))
}
