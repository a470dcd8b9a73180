package engine

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
)

// ContentHash is what CheckDeep found a fork or a snapshot to hold. Two of them
// with the same Hash and Rows hold the same keys with the same values, whatever
// their history and their form on disk, in one store or in two. It guards against
// accidents, not against somebody who looks for two contents with one hash.
type ContentHash struct {
	Name string // a snapshot's with an @ before it
	Hash uint64 // the sum of rowDigest over all rows
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

// contentFile stands for a file where a content is wrong and no file is to blame.
const contentFile = "the tables and the log"

// deep reads every content twice: as the store's own readers do, through views,
// merges, cache and filters, and by plainWalk, which uses none of them. The two
// must agree in the digest of every content, and in the answer to a sample of
// lookups. What rests on a damaged table is left out.
func (c *checker) deep() error {
	bad := c.badNodes()
	k := contentsOf(c.tree, bad, c.scanSlack)
	defer func() {
		for _, one := range k.all {
			if one.view != nil {
				one.view.release()
			}
		}
	}()
	for i, one := range k.all {
		if err := k.read(c.s, i); err != nil {
			one.failed = true
			p := c.problem(err)
			if p == nil {
				return err
			}
			p.Forks = one.names
		}
	}
	w := newPlainWalk(c.s, k.all, bad)
	if err := w.run(); err != nil {
		if c.problem(err) == nil {
			return err
		}
		return nil // no content has a second digest to be compared with
	}
	c.report.Lookups = w.lookups
	for _, one := range k.all {
		c.compare(one)
	}
	slices.SortFunc(c.report.Hashes, func(a, b ContentHash) int { return compareNames(a.Name, b.Name) })
	return nil
}

// compare judges one content and, if its two digests agree, reports them.
func (c *checker) compare(one *content) {
	switch {
	case one.failed:
		return
	case one.seen != one.plain:
		c.add(Problem{
			File: contentFile, Offset: -1, Forks: one.names,
			Text: fmt.Sprintf("reading it gives %v, its nodes put together one by one give %v", one.seen, one.plain),
		})
		return
	case one.wrong != "":
		c.add(Problem{File: contentFile, Offset: -1, Forks: one.names, Text: one.wrong})
		return
	}
	for _, name := range one.names {
		c.report.Hashes = append(c.report.Hashes, ContentHash{Name: name, Hash: one.plain.hash, Rows: one.plain.rows})
	}
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
