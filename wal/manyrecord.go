package wal

import "github.com/tinedb/tine/internal/ids"

// The payloads of the records that are about many forks at once. One record is
// there or it is not, so all of its forks are.

// ForkMany says that forks were made from Parent, or from a snapshot, at one cut.
// All have the same top. The i-th, from 0, has the number First+2i, and its
// memtable the next one.
type ForkMany struct {
	Freeze          Freeze // of the parent's memtable
	Parent          ids.ForkID
	First           ids.ForkID
	Top             ids.NodeID // 0 for an empty keyspace
	CreatedUnixNano int64
	FromSnapshot    ids.SnapshotID // 0 if made from the parent itself
	Names           []string
}

// Child is the number of the i-th fork.
func (f ForkMany) Child(i int) ids.ForkID { return f.First + ids.ForkID(2*i) }

// Memtable is the number of the i-th fork's memtable.
func (f ForkMany) Memtable(i int) ids.NodeID { return ids.NodeID(f.First) + ids.NodeID(2*i) + 1 }

// AppendTo extends dst by the encoded payload, 76 bytes and the names.
func (f ForkMany) AppendTo(dst []byte) []byte {
	dst = f.Freeze.AppendTo(dst)
	dst = appendUint64(dst, uint64(f.Parent))
	dst = appendUint64(dst, uint64(f.First))
	dst = appendUint64(dst, uint64(f.Top))
	dst = appendUint64(dst, uint64(f.CreatedUnixNano))
	dst = appendUint64(dst, uint64(f.FromSnapshot))
	dst = appendUint32(dst, uint32(len(f.Names)))
	for _, name := range f.Names {
		dst = appendName(dst, name)
	}
	return dst
}

// DecodeForkMany decodes the payload of a KindForkMany record.
func DecodeForkMany(payload []byte) (ForkMany, error) {
	c := cursor{rest: payload}
	f := ForkMany{
		Freeze:          c.freeze(),
		Parent:          ids.ForkID(c.uint64()),
		First:           ids.ForkID(c.uint64()),
		Top:             ids.NodeID(c.uint64()),
		CreatedUnixNano: int64(c.uint64()),
		FromSnapshot:    ids.SnapshotID(c.uint64()),
	}
	f.Names = make([]string, c.count(1))
	for i := range f.Names {
		f.Names[i] = c.name()
	}
	return f, c.done(KindForkMany)
}

// DropMany says that forks are gone.
type DropMany struct{ Forks []ids.ForkID }

// AppendTo extends dst by the encoded payload, 4 bytes and 8 for each fork.
func (d DropMany) AppendTo(dst []byte) []byte {
	dst = appendUint32(dst, uint32(len(d.Forks)))
	for _, id := range d.Forks {
		dst = appendUint64(dst, uint64(id))
	}
	return dst
}

// DecodeDropMany decodes the payload of a KindDropMany record.
func DecodeDropMany(payload []byte) (DropMany, error) {
	c := cursor{rest: payload}
	d := DropMany{Forks: make([]ids.ForkID, c.count(8))}
	for i := range d.Forks {
		d.Forks[i] = ids.ForkID(c.uint64())
	}
	return d, c.done(KindDropMany)
}

// count takes the number of items that follow, each of at least so many bytes. A
// number that the rest cannot hold is refused before anybody makes room for it.
func (c *cursor) count(leastBytes int) int {
	n := c.uint32()
	if uint64(n)*uint64(leastBytes) > uint64(len(c.rest)) {
		c.rest, c.short = nil, true
		return 0
	}
	return int(n)
}
