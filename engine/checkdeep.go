package engine

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// ContentHash is what CheckDeep found a fork or a snapshot to hold. Two of them
// with the same Hash and Rows hold the same keys with the same values, whatever
// their history and their form on disk, in one store or in two.
type ContentHash struct {
	Name string // a snapshot's with an @ before it
	Hash uint64 // the sum of rowHash over all rows
	Rows uint64 // live ones
}

// digest is the hash of a set of rows. Being a sum it does not depend on order,
// and a row can be taken out again: a child's digest follows from its parent's by
// what changed.
type digest struct{ hash, rows uint64 }

func (d *digest) add(o digest) { d.hash, d.rows = d.hash+o.hash, d.rows+o.rows }
func (d *digest) sub(o digest) { d.hash, d.rows = d.hash-o.hash, d.rows-o.rows }

func (d digest) String() string { return fmt.Sprintf("%d rows with hash %016x", d.rows, d.hash) }

// rowDigest is the digest of one live row. buf is scratch.
func rowDigest(buf *[]byte, key, value []byte) digest {
	b := binary.LittleEndian.AppendUint64((*buf)[:0], uint64(len(key)))
	b = append(b, key...)
	*buf = append(b, value...)
	return digest{hash: xxhash.Sum64(*buf), rows: 1}
}

// content is one distinct state that forks and snapshots hold: a node, or a
// fork's memtable over its top. All that share a top share it.
type content struct {
	top   *forktree.Node
	mem   *memtable.Memtable // nil: the node alone
	names []string

	place  int // in the plain walk's order
	view   *view
	seen   digest // by the store's own reading
	plain  digest // by the plain walk
	failed bool   // it could not be read
	wrong  string // the first lookup that gave something else than the plain walk
}

// contentsOf lists what there is to read, snapshots and forks in the order of
// their tops from the root outwards. Nodes of which bad says true are left out
// with all above them.
func contentsOf(t *forktree.Tree, bad map[*forktree.Node]bool) []*content {
	byNode := map[*forktree.Node]*content{}
	var out []*content
	add := func(name string, top *forktree.Node, mem *memtable.Memtable) {
		if bad[top] {
			return
		}
		c := byNode[top]
		if c == nil || mem != nil {
			c = &content{top: top, mem: mem}
			out = append(out, c)
			if mem == nil {
				byNode[top] = c
			}
		}
		c.names = append(c.names, name)
	}
	for _, f := range t.Forks() {
		mem, _ := f.Mem.(*memtable.Memtable)
		add(f.Name, f.Top, mem)
	}
	for _, n := range t.Snapshots() {
		add("@"+n.Name, n.Node, nil)
	}
	slices.SortStableFunc(out, func(a, b *content) int {
		return cmp.Compare(nodeID(a.top), nodeID(b.top))
	})
	return out
}

// deep reads every content twice: as the store's own readers do, through views,
// merges, cache and filters, and by plainWalk, which uses none of them. The two
// must agree in the digest of every content, and in the answer to a sample of
// lookups. What rests on a damaged table is left out.
func (c *checker) deep() error {
	bad := c.badNodes()
	contents := contentsOf(c.tree, bad)
	defer func() {
		for _, k := range contents {
			if k.view != nil {
				k.view.release()
			}
		}
	}()
	for _, k := range contents {
		if err := c.deepProblem(k, k.read(c.s)); err != nil {
			return err
		}
	}
	w := newPlainWalk(c.s, contents, bad)
	if err := w.run(); err != nil {
		return c.deepProblem(nil, err)
	}
	r := c.report
	for _, k := range contents {
		switch {
		case k.failed:
			continue
		case k.seen != k.plain:
			c.add(Problem{
				File: contentFile, Offset: -1, Forks: k.names,
				Text: fmt.Sprintf("reading the fork gives %v, its nodes put together one by one give %v", k.seen, k.plain),
			})
		case k.wrong != "":
			c.add(Problem{File: contentFile, Offset: -1, Forks: k.names, Text: k.wrong})
		}
		for _, name := range k.names {
			r.Hashes = append(r.Hashes, ContentHash{Name: name, Hash: k.plain.hash, Rows: k.plain.rows})
		}
	}
	r.Lookups = w.lookups
	slices.SortFunc(r.Hashes, func(a, b ContentHash) int { return compareNames(a.Name, b.Name) })
	return nil
}

// contentFile stands for a file where a content is wrong and no file is to blame.
const contentFile = "the tables and the log"

// deepProblem takes an error of reading a content, which every table and every
// block has passed before.
func (c *checker) deepProblem(k *content, err error) error {
	if err == nil {
		return nil
	}
	p := c.problem(err)
	if p == nil {
		return err
	}
	if k != nil {
		k.failed = true
		p.Forks = k.names
	}
	return nil
}

// badNodes are the nodes that hold a table with a problem, and all above them.
func (c *checker) badNodes() map[*forktree.Node]bool {
	tables := map[ids.TableID]bool{}
	for i := range c.report.Problems {
		if t := c.report.Problems[i].table; t != 0 {
			tables[t] = true
		}
	}
	if len(tables) == 0 {
		return nil
	}
	bad := map[*forktree.Node]bool{}
	for _, n := range c.tree.Nodes() {
		hit := n.Older != nil && bad[n.Older]
		if n.Run != nil && !hit {
			hit = slices.ContainsFunc(n.Run.Tables, func(t *forktree.Table) bool { return tables[t.Meta.ID] })
		}
		if hit {
			bad[n] = true
		}
	}
	return bad
}

// read walks the content as an iterator of a fork does.
func (c *content) read(s *Store) error {
	s.mu.Lock()
	c.view = s.viewLocked(c.top, c.mem)
	s.mu.Unlock()
	it := iterator.NewLive(c.view.rows(memtable.MaxLSN, Range{}))
	var last, buf []byte
	for ok := it.First(); ok; ok = it.Next() {
		if c.seen.rows > 0 && bytes.Compare(last, it.Key()) >= 0 {
			_ = it.Close()
			return &errs.CorruptError{File: contentFile, Offset: -1, Forks: c.names, Err: fmt.Errorf("key %q is read behind %q", it.Key(), last)}
		}
		last = append(last[:0], it.Key()...)
		c.seen.add(rowDigest(&buf, it.Key(), it.Value()))
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
