package wal

import "github.com/tinedb/tine/internal/ids"

// The payloads of the records that change the fork tree. Each has AppendTo,
// which extends dst by the encoded payload, and a decoder that accepts exactly
// what AppendTo writes and answers everything else with ErrBadPayload. All
// fields have a fixed size except names, so a payload's length is known before
// the ids in it are.

// Freeze says that the mutable memtable of a fork became a node. Node 0 means
// that the memtable was empty and nothing was frozen: the fork goes on with the
// memtable it has. It is the payload of KindFreeze and part of every record
// whose operation freezes.
type Freeze struct {
	Fork        ids.ForkID
	Node        ids.NodeID // the frozen memtable's id
	Older       ids.NodeID // what the node lies over, 0 for nothing
	NewMemtable ids.NodeID // the fork's memtable from now on
}

// AppendTo extends dst by the encoded payload, 32 bytes.
func (f Freeze) AppendTo(dst []byte) []byte {
	dst = appendUint64(dst, uint64(f.Fork))
	dst = appendUint64(dst, uint64(f.Node))
	dst = appendUint64(dst, uint64(f.Older))
	return appendUint64(dst, uint64(f.NewMemtable))
}

func (c *cursor) freeze() Freeze {
	return Freeze{
		Fork:        ids.ForkID(c.uint64()),
		Node:        ids.NodeID(c.uint64()),
		Older:       ids.NodeID(c.uint64()),
		NewMemtable: ids.NodeID(c.uint64()),
	}
}

// DecodeFreeze decodes the payload of a KindFreeze record.
func DecodeFreeze(payload []byte) (Freeze, error) {
	c := cursor{rest: payload}
	f := c.freeze()
	return f, c.done(KindFreeze)
}

// Fork says that Child was made from Parent, or from a snapshot.
type Fork struct {
	Freeze          Freeze // of the parent's memtable
	Parent          ids.ForkID
	Child           ids.ForkID
	Name            string
	Top             ids.NodeID // the child's, 0 for an empty keyspace
	Memtable        ids.NodeID // the child's
	CreatedUnixNano int64
	FromSnapshot    ids.SnapshotID // 0 if made from the parent itself
}

// AppendTo extends dst by the encoded payload, 81 bytes and the name.
func (f Fork) AppendTo(dst []byte) []byte {
	dst = f.Freeze.AppendTo(dst)
	dst = appendUint64(dst, uint64(f.Parent))
	dst = appendUint64(dst, uint64(f.Child))
	dst = appendUint64(dst, uint64(f.Top))
	dst = appendUint64(dst, uint64(f.Memtable))
	dst = appendUint64(dst, uint64(f.CreatedUnixNano))
	dst = appendUint64(dst, uint64(f.FromSnapshot))
	return appendName(dst, f.Name)
}

// DecodeFork decodes the payload of a KindFork record.
func DecodeFork(payload []byte) (Fork, error) {
	c := cursor{rest: payload}
	f := Fork{
		Freeze:          c.freeze(),
		Parent:          ids.ForkID(c.uint64()),
		Child:           ids.ForkID(c.uint64()),
		Top:             ids.NodeID(c.uint64()),
		Memtable:        ids.NodeID(c.uint64()),
		CreatedUnixNano: int64(c.uint64()),
		FromSnapshot:    ids.SnapshotID(c.uint64()),
	}
	f.Name = c.name()
	return f, c.done(KindFork)
}

// Snapshot says that a node got a name.
type Snapshot struct {
	Freeze          Freeze // of the memtable of the fork it was taken of
	ID              ids.SnapshotID
	Name            string
	Node            ids.NodeID
	Fork            ids.ForkID
	CreatedUnixNano int64
}

// AppendTo extends dst by the encoded payload, 65 bytes and the name.
func (s Snapshot) AppendTo(dst []byte) []byte {
	dst = s.Freeze.AppendTo(dst)
	dst = appendUint64(dst, uint64(s.ID))
	dst = appendUint64(dst, uint64(s.Node))
	dst = appendUint64(dst, uint64(s.Fork))
	dst = appendUint64(dst, uint64(s.CreatedUnixNano))
	return appendName(dst, s.Name)
}

// DecodeSnapshot decodes the payload of a KindSnapshot record.
func DecodeSnapshot(payload []byte) (Snapshot, error) {
	c := cursor{rest: payload}
	s := Snapshot{
		Freeze:          c.freeze(),
		ID:              ids.SnapshotID(c.uint64()),
		Node:            ids.NodeID(c.uint64()),
		Fork:            ids.ForkID(c.uint64()),
		CreatedUnixNano: int64(c.uint64()),
	}
	s.Name = c.name()
	return s, c.done(KindSnapshot)
}

// Drop says that a fork is gone.
type Drop struct{ Fork ids.ForkID }

// AppendTo extends dst by the encoded payload, 8 bytes.
func (d Drop) AppendTo(dst []byte) []byte { return appendUint64(dst, uint64(d.Fork)) }

// DecodeDrop decodes the payload of a KindDrop record.
func DecodeDrop(payload []byte) (Drop, error) {
	c := cursor{rest: payload}
	d := Drop{Fork: ids.ForkID(c.uint64())}
	return d, c.done(KindDrop)
}

// DropSnapshot says that a snapshot is gone.
type DropSnapshot struct{ ID ids.SnapshotID }

// AppendTo extends dst by the encoded payload, 8 bytes.
func (d DropSnapshot) AppendTo(dst []byte) []byte { return appendUint64(dst, uint64(d.ID)) }

// DecodeDropSnapshot decodes the payload of a KindDropSnapshot record.
func DecodeDropSnapshot(payload []byte) (DropSnapshot, error) {
	c := cursor{rest: payload}
	d := DropSnapshot{ID: ids.SnapshotID(c.uint64())}
	return d, c.done(KindDropSnapshot)
}

// Rename gives a fork another name.
type Rename struct {
	Fork ids.ForkID
	Name string
}

// AppendTo extends dst by the encoded payload, 9 bytes and the name.
func (r Rename) AppendTo(dst []byte) []byte {
	return appendName(appendUint64(dst, uint64(r.Fork)), r.Name)
}

// DecodeRename decodes the payload of a KindRename record.
func DecodeRename(payload []byte) (Rename, error) {
	c := cursor{rest: payload}
	r := Rename{Fork: ids.ForkID(c.uint64())}
	r.Name = c.name()
	return r, c.done(KindRename)
}

// RenameSnapshot gives a snapshot another name.
type RenameSnapshot struct {
	ID   ids.SnapshotID
	Name string
}

// AppendTo extends dst by the encoded payload, 9 bytes and the name.
func (r RenameSnapshot) AppendTo(dst []byte) []byte {
	return appendName(appendUint64(dst, uint64(r.ID)), r.Name)
}

// DecodeRenameSnapshot decodes the payload of a KindRenameSnapshot record.
func DecodeRenameSnapshot(payload []byte) (RenameSnapshot, error) {
	c := cursor{rest: payload}
	r := RenameSnapshot{ID: ids.SnapshotID(c.uint64())}
	r.Name = c.name()
	return r, c.done(KindRenameSnapshot)
}

// Reset points a fork at another node and gives it a fresh memtable; what its
// old memtable held is discarded.
type Reset struct {
	Freeze   Freeze // of the memtable of the fork that is copied
	Fork     ids.ForkID
	Top      ids.NodeID
	Memtable ids.NodeID
}

// AppendTo extends dst by the encoded payload, 56 bytes.
func (r Reset) AppendTo(dst []byte) []byte {
	dst = r.Freeze.AppendTo(dst)
	dst = appendUint64(dst, uint64(r.Fork))
	dst = appendUint64(dst, uint64(r.Top))
	return appendUint64(dst, uint64(r.Memtable))
}

// DecodeReset decodes the payload of a KindReset record.
func DecodeReset(payload []byte) (Reset, error) {
	c := cursor{rest: payload}
	r := Reset{
		Freeze:   c.freeze(),
		Fork:     ids.ForkID(c.uint64()),
		Top:      ids.NodeID(c.uint64()),
		Memtable: ids.NodeID(c.uint64()),
	}
	return r, c.done(KindReset)
}

// NodeImage is the whole content of a frozen memtable. It replaces every
// earlier record of that node's id.
type NodeImage struct {
	Node, Older ids.NodeID
	Ops         []byte // as AppendOp made them
	Count       uint32 // how many operations Ops holds
}

// AppendTo extends dst by the encoded payload, 20 bytes and the operations.
func (n NodeImage) AppendTo(dst []byte) []byte {
	dst = appendUint64(dst, uint64(n.Node))
	dst = appendUint64(dst, uint64(n.Older))
	dst = appendUint32(dst, n.Count)
	return append(dst, n.Ops...)
}

// DecodeNodeImage decodes the payload of a KindNodeImage record and checks
// every operation in it. Ops aliases the payload.
func DecodeNodeImage(payload []byte) (NodeImage, error) {
	c := cursor{rest: payload}
	n := NodeImage{Node: ids.NodeID(c.uint64()), Older: ids.NodeID(c.uint64()), Count: c.uint32()}
	if c.short {
		return NodeImage{}, c.done(KindNodeImage)
	}
	n.Ops = c.rest
	if err := checkOps(n.Ops, n.Count); err != nil {
		return NodeImage{}, err
	}
	return n, nil
}
