package forktree

import (
	"github.com/RoaringBitmap/roaring/v2"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// keyCount is how many keys a keyspace of these tests has. Few, so that rows
// often shadow each other.
const keyCount = 12

// tombstone is the value of a deleted key; 0 says nothing about a key.
const tombstone = ^uint32(0)

// rows are the rows of a table or of a memtable, and a content: a value per key.
type rows [keyCount]uint32

// count is the number of rows; those before a key give the key's ordinal.
func (r *rows) count() int { return r.before(keyCount) }

func (r *rows) before(key int) int {
	n := 0
	for _, v := range r[:key] {
		if v != 0 {
			n++
		}
	}
	return n
}

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

// set is a set of keys, or of rows of a table.
type set uint32

func (s set) has(i int) bool { return s>>i&1 != 0 }

func (s *set) add(i int) { *s |= 1 << i }

// vector gives a set of rows of a table as marks; it must not be empty.
func (s set) vector(tb *Table) *sstable.Vector {
	dead := roaring.New()
	for i := range int(tb.Meta.Rows) {
		if s.has(i) {
			dead.Add(uint32(i))
		}
	}
	return sstable.NewVector(tb.Meta.Rows, dead)
}

// dead gives the rows that a node marks. The set is kept with the marks, as an
// engine keeps what its readers need: it must go when the marks change.
func (m *Marks) dead() set {
	s, ok := m.Local.(set)
	if !ok {
		for from, to := range m.Vector.Bitmap().Ranges() {
			for row := int(from); row < int(to); row++ {
				s.add(row)
			}
		}
		m.Local = s
	}
	return s
}

// memory is a memtable: rows, and the keys that range deletes cover. A covered key
// is hidden in all older layers, whether the memtable has a row of it or not.
type memory struct {
	rows    rows
	covered set
}

func (m *memory) Len() int { return m.rows.count() }

func (m *memory) Bytes() int64 { return int64(16 * m.rows.count()) }

// cover deletes a key by a range: of the memtable's own row it makes a tombstone.
func (m *memory) cover(key int) {
	m.covered.add(key)
	if m.rows[key] != 0 {
		m.rows[key] = tombstone
	}
}

// over lays m over an older memtable.
func (m *memory) over(older *memory) {
	for k, v := range older.rows {
		switch {
		case m.rows[k] != 0 || v == 0:
		case m.covered.has(k):
			m.rows[k] = tombstone
		default:
			m.rows[k] = v
		}
	}
	m.covered |= older.covered
}

// layer is what m is to those who read through it.
func (m *memory) layer() *rows {
	out := m.rows
	for k := range out {
		if out[k] == 0 && m.covered.has(k) {
			out[k] = tombstone
		}
	}
	return &out
}

// layer is one node as a reader found it: a memtable, or a run with what was dead
// in its tables.
type layer struct {
	mem  *memory
	run  *Run
	dead map[*Table]set
}

// layers gives what a reader needs of a path, newest first.
func layers(top *Node) []layer {
	var out []layer
	dead := map[*Table]set{}
	for n := range Path(top) {
		for _, m := range n.Marks() {
			dead[m.Table] |= m.dead()
		}
		if n.Mem != nil {
			out = append(out, layer{mem: n.Mem.(*memory)})
			continue
		}
		l := layer{run: n.Run}
		for _, tb := range n.Run.Tables {
			if d := dead[tb]; d != 0 {
				if l.dead == nil {
					l.dead = map[*Table]set{}
				}
				l.dead[tb] = d
			}
		}
		out = append(out, l)
	}
	return out
}

// shelf holds the rows of every table that was ever written.
type shelf map[ids.TableID]*rows

// alive gives a table's rows without the dead ones.
func (s shelf) alive(tb *Table, dead set) rows {
	out := *s[tb.Meta.ID]
	row := 0
	for k, v := range out {
		if v == 0 {
			continue
		}
		if dead.has(row) {
			out[k] = 0
		}
		row++
	}
	return out
}

// read is what a reader sees through the layers.
func (s shelf) read(layers []layer) rows {
	var out rows
	for _, l := range layers {
		if l.mem != nil {
			out.under(l.mem.layer())
			continue
		}
		for _, tb := range l.run.Tables {
			alive := s.alive(tb, l.dead[tb])
			out.under(&alive)
		}
	}
	return out.read()
}

// content is what a reader sees through a memtable over a path.
func (s shelf) content(mem Memory, top *Node) rows {
	all := layers(top)
	if mem != nil {
		all = append([]layer{{mem: mem.(*memory)}}, all...)
	}
	return s.read(all)
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
