package forktree

import (
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// keyCount is how many keys a keyspace of these tests has. Few, so that rows
// often shadow each other.
const keyCount = 12

// tombstone is the value of a deleted key; 0 says nothing about a key.
const tombstone = ^uint32(0)

// rows is a memtable, the rows of a table, and a content: a value per key.
type rows [keyCount]uint32

func (r *rows) Len() int {
	n := 0
	for _, v := range r {
		if v != 0 {
			n++
		}
	}
	return n
}

func (r *rows) Bytes() int64 { return int64(16 * r.Len()) }

// under lays r over older: what r says nothing about is taken from older.
func (r *rows) under(older *rows) {
	for k, v := range older {
		if r[k] == 0 {
			r[k] = v
		}
	}
}

// read is what a reader sees: a tombstone is nothing.
func (r rows) read() rows {
	for k, v := range r {
		if v == tombstone {
			r[k] = 0
		}
	}
	return r
}

// shelf holds the rows of every table that was ever written.
type shelf map[ids.TableID]*rows

func (s shelf) run(r *Run) *rows {
	var out rows
	for _, tb := range r.Tables {
		out.under(s[tb.Meta.ID])
	}
	return &out
}

// form gives the rows of a node in its present form.
func (s shelf) form(n *Node) *rows {
	if n.Mem != nil {
		return n.Mem.(*rows)
	}
	return s.run(n.Run)
}

// content is what a reader sees through a memtable over a path.
func (s shelf) content(mem Memory, top *Node) rows {
	var out rows
	if mem != nil {
		out = *mem.(*rows)
	}
	for n := range Path(top) {
		out.under(s.form(n))
	}
	return out.read()
}

// write puts the rows into tables of at most perTable rows, in one file.
func (s shelf) write(r *rows, perTable int, file ids.FileNum, nextTable func() ids.TableID, offset *uint64) []sstable.Meta {
	var metas []sstable.Meta
	for k, v := range r {
		if v == 0 {
			continue
		}
		if len(metas) == 0 || metas[len(metas)-1].Rows == uint64(perTable) {
			m := sstable.Meta{ID: nextTable(), File: file, Offset: *offset, Smallest: []byte{byte(k)}}
			s[m.ID] = new(rows)
			metas = append(metas, m)
		}
		m := &metas[len(metas)-1]
		s[m.ID][k] = v
		m.Rows++
		m.Length += 10
		m.KeyBytes++
		*offset += 10
		m.Largest = []byte{byte(k)}
		if v == tombstone {
			m.Tombstones++
		}
	}
	return metas
}
