package manifest

import (
	"bytes"
	"iter"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// Forks is a set of fork records by id and by name. A million of them are a few
// thousand blocks of memory without a pointer in them, some 90 bytes a fork beside its
// name, so that forks which nobody uses cost neither much memory nor the garbage
// collector's time.
//
// A nil *Forks is an empty set that cannot be put into. Not safe for concurrent use.
// Finding costs O(log n), and so does putting and dropping.
//
// Records lie densely: the last one takes the place of one that is dropped. So a place
// is good only until the next drop, and walks go by id or by name. Two forks may have
// one name, as may be in the middle of a transaction, or by damage; Check tells.
type Forks struct {
	chunks []*[recordsPerChunk]forkRecord
	n      int
	names  nameSlabs
	byID   order
	byName order // and by id where names are equal
	asked  place // of the name that was looked for last
}

// place is where a name stands in the order of names, or would: who makes a fork asks
// first whether its name is free.
type place struct {
	name    string
	at      position
	changes uint64 // of the order, while which it is good
}

// forkRecord is one fork. It holds no pointer; its name is in a slab.
type forkRecord struct {
	id              ids.ForkID
	parent          ids.ForkID
	top             ids.NodeID
	memtable        ids.NodeID
	createdUnixNano int64
	createdLSN      ids.LSN
	name            uint32 // its entry in the slab for names of its length
	note            uint32 // the owner's
	nameBytes       uint8
	owed            bool // the owner's
}

// recordsPerChunk fits a chunk into 4 KiB: small stores stay small.
const recordsPerChunk = 64

// Len is the number of forks.
func (t *Forks) Len() int {
	if t == nil {
		return 0
	}
	return t.n
}

// Get gives the fork with that id.
func (t *Forks) Get(id ids.ForkID) (f Fork, ok bool) {
	r := t.find(id)
	if r == nil {
		return Fork{}, false
	}
	return t.fork(r), true
}

// Top gives the top of the fork with that id.
func (t *Forks) Top(id ids.ForkID) (top ids.NodeID, ok bool) {
	r := t.find(id)
	if r == nil {
		return 0, false
	}
	return r.top, true
}

// Has tells whether there is a fork with that id.
func (t *Forks) Has(id ids.ForkID) bool { return t.find(id) != nil }

// Named gives the fork of that name, the oldest if there are several.
func (t *Forks) Named(name string) (f Fork, ok bool) {
	if t.Len() == 0 {
		return Fork{}, false
	}
	at := t.byName.find(t.beforeName([]byte(name), 0))
	if !t.namedAt(at, name) {
		return Fork{}, false
	}
	slot, _ := t.byName.get(at)
	return t.fork(t.record(slot)), true
}

// HasName tells whether there is a fork of that name.
func (t *Forks) HasName(name string) bool {
	if t.Len() == 0 {
		return false
	}
	at := t.byName.find(t.beforeName([]byte(name), 0))
	t.asked = place{name, at, t.byName.changes}
	return t.namedAt(at, name)
}

// placeFor gives where a record of that name would stand in the order of names, before
// others of the same name.
func (t *Forks) placeFor(name string) position {
	if p := &t.asked; p.changes == t.byName.changes && p.name == name {
		return p.at
	}
	return t.byName.find(t.beforeName([]byte(name), 0))
}

func (t *Forks) namedAt(at position, name string) bool {
	slot, ok := t.byName.get(at)
	return ok && string(t.nameOf(t.record(slot))) == name
}

// Put adds the fork, or replaces the one with its id. The owner's note stays.
func (t *Forks) Put(f Fork) {
	invariant.Check(len(f.Name) <= maxSlabName, "fork %d has a name of %d bytes", f.ID, len(f.Name))
	if at, slot, ok := t.placeOf(f.ID); ok {
		r := t.record(slot)
		if string(t.nameOf(r)) != f.Name {
			t.byName.remove(t.placeOfName(r))
			t.forgetName(r)
			t.setName(slot, f.Name)
			t.byName.insert(t.byName.find(t.beforeName([]byte(f.Name), f.ID)), slot)
		}
		r.set(&f)
	} else {
		t.insert(&f, at, t.byName.find(t.beforeName([]byte(f.Name), f.ID)))
	}
	t.checkNow()
}

// insert adds a record at the places in the two orders that are given.
func (t *Forks) insert(f *Fork, byID, byName position) *forkRecord {
	slot := uint32(t.n)
	if t.n == len(t.chunks)*recordsPerChunk {
		t.chunks = append(t.chunks, new([recordsPerChunk]forkRecord))
	}
	t.n++
	r := t.record(slot)
	*r = forkRecord{}
	r.set(f)
	t.setName(slot, f.Name)
	t.byID.insert(byID, slot)
	t.byName.insert(byName, slot)
	return r
}

// Drop takes the fork with that id away, and tells whether there was one.
func (t *Forks) Drop(id ids.ForkID) bool {
	if t.Len() == 0 {
		return false
	}
	at, slot, ok := t.placeOf(id)
	if ok {
		t.dropAt(at, slot)
	}
	return ok
}

// dropAt takes the record in slot away, which is at that place in byID.
func (t *Forks) dropAt(at position, slot uint32) {
	r := t.record(slot)
	t.byName.remove(t.placeOfName(r))
	t.byID.remove(at)
	t.forgetName(r)
	t.n--
	if last := uint32(t.n); slot != last {
		moved := t.record(last)
		idAt, _, _ := t.placeOf(moved.id)
		t.byID.set(idAt, slot)
		t.byName.set(t.placeOfName(moved), slot)
		t.names.slab(moved.nameBytes).setSlot(moved.name, slot)
		*r = *moved
	}
	if keep := t.n/recordsPerChunk + 2; len(t.chunks) > keep {
		t.chunks[len(t.chunks)-1] = nil
		t.chunks = t.chunks[:keep]
	}
	t.checkNow()
}

// All gives the forks by rising id. The set must not change meanwhile.
func (t *Forks) All() iter.Seq[Fork] {
	return func(yield func(Fork) bool) {
		if t.Len() == 0 {
			return
		}
		for slot := range t.byID.from(position{}) {
			if !yield(t.fork(t.record(slot))) {
				return
			}
		}
	}
}

// After gives at most limit forks whose ids are above id, by rising id.
func (t *Forks) After(id ids.ForkID, limit int) (out []Fork) {
	if t.Len() == 0 || limit <= 0 {
		return nil
	}
	at := t.byID.find(func(slot uint32) bool { return t.record(slot).id <= id })
	for slot := range t.byID.from(at) {
		out = append(out, t.fork(t.record(slot)))
		if len(out) == limit {
			break
		}
	}
	return out
}

// Tops tells fn of the tops of at most limit forks whose ids are above id, by rising
// id, and gives the last id it came to; more is false once there are none behind it.
func (t *Forks) Tops(id ids.ForkID, limit int, fn func(top ids.NodeID)) (last ids.ForkID, more bool) {
	return t.some(id, limit, func(r *forkRecord) { fn(r.top) })
}

// Parents is Tops for what each fork was made from.
func (t *Forks) Parents(id ids.ForkID, limit int, fn func(fork, parent ids.ForkID)) (last ids.ForkID, more bool) {
	return t.some(id, limit, func(r *forkRecord) { fn(r.id, r.parent) })
}

func (t *Forks) some(id ids.ForkID, limit int, fn func(*forkRecord)) (last ids.ForkID, more bool) {
	if t.Len() == 0 {
		return id, false
	}
	at := t.byID.find(func(slot uint32) bool { return t.record(slot).id <= id })
	for slot := range t.byID.from(at) {
		if limit == 0 {
			return id, true
		}
		limit--
		r := t.record(slot)
		id = r.id
		fn(r)
	}
	return id, false
}

// Names gives at most limit forks whose names begin with prefix and come after the
// name after, in the order of names; a limit below 0 is none.
func (t *Forks) Names(prefix, after string, limit int) (out []Fork) {
	if t.Len() == 0 || limit == 0 {
		return nil
	}
	var at position
	if after >= prefix && after != "" {
		at = t.byName.find(func(slot uint32) bool { return string(t.nameOf(t.record(slot))) <= after })
	} else {
		at = t.byName.find(t.beforeName([]byte(prefix), 0))
	}
	for slot := range t.byName.from(at) {
		r := t.record(slot)
		if !bytes.HasPrefix(t.nameOf(r), []byte(prefix)) {
			break
		}
		out = append(out, t.fork(r))
		if len(out) == limit {
			break
		}
	}
	return out
}

// Namesakes gives two forks of one name, if there are any.
func (t *Forks) Namesakes() (a, b Fork, ok bool) {
	if t.Len() == 0 {
		return Fork{}, Fork{}, false
	}
	var before *forkRecord
	for slot := range t.byName.from(position{}) {
		r := t.record(slot)
		if before != nil && bytes.Equal(t.nameOf(before), t.nameOf(r)) {
			return t.fork(before), t.fork(r), true
		}
		before = r
	}
	return Fork{}, Fork{}, false
}

// What follows is for an owner that keeps more about some forks than their records:
// a note and a mark, neither of which is part of the record.

// Add puts a fork that is not there, under a name that is free, with a note, and
// marks it as owed.
func (t *Forks) Add(f Fork, note uint32) {
	if f.ID == 0 || len(f.Name) > maxSlabName { // the arguments of Check allocate
		invariant.Check(false, "fork %d has a name of %d bytes", f.ID, len(f.Name))
	}
	byID, _, taken := t.placeOf(f.ID)
	if taken { // the arguments of Check allocate
		invariant.Check(false, "fork id %d is used twice", f.ID)
	}
	byName := t.placeFor(f.Name)
	if t.namedAt(byName, f.Name) { // the arguments of Check allocate
		invariant.Check(false, "fork name %q is used twice", f.Name)
	}
	r := t.insert(&f, byID, byName)
	r.note, r.owed = note, true
	t.checkNow()
}

// Discard drops the fork, and tells whether it was marked as owed.
func (t *Forks) Discard(id ids.ForkID) (owed bool) {
	owed = t.Owe(id)
	t.Drop(id)
	return owed
}

// Take drops a fork without a note. It gives its top, and tells whether it was marked as
// owed; ok is false if there is no such fork.
func (t *Forks) Take(id ids.ForkID) (top ids.NodeID, owed, ok bool) {
	if t.Len() == 0 {
		return 0, false, false
	}
	at, slot, ok := t.placeOf(id)
	if !ok {
		return 0, false, false
	}
	r := t.record(slot)
	if r.note != 0 { // the arguments of Check allocate
		invariant.Check(false, "fork %d is taken while its owner has more about it", id)
	}
	top, owed = r.top, r.owed
	t.dropAt(at, slot)
	return top, owed, true
}

// Repoint gives the fork another top and another memtable, and marks it as Owe does.
func (t *Forks) Repoint(id ids.ForkID, top, memtable ids.NodeID) (owed bool) {
	r := t.find(id)
	if r == nil { // the arguments of Check allocate
		invariant.Check(false, "fork %d is not there and gets another top", id)
	}
	r.top, r.memtable = top, memtable
	owed, r.owed = r.owed, true
	return owed
}

// Owe marks the fork, and tells whether it was marked already.
func (t *Forks) Owe(id ids.ForkID) (owed bool) {
	r := t.find(id)
	if r == nil { // the arguments of Check allocate
		invariant.Check(false, "fork %d is not there and is owed", id)
	}
	owed, r.owed = r.owed, true
	return owed
}

// Settle takes the mark back and gives the fork.
func (t *Forks) Settle(id ids.ForkID) (f Fork, ok bool) {
	r := t.find(id)
	if r == nil {
		return Fork{}, false
	}
	r.owed = false
	return t.fork(r), true
}

// Note gives the fork's note, 0 if it has none or there is no such fork.
func (t *Forks) Note(id ids.ForkID) uint32 {
	if r := t.find(id); r != nil {
		return r.note
	}
	return 0
}

// SetNote leaves a note at the fork.
func (t *Forks) SetNote(id ids.ForkID, note uint32) {
	r := t.find(id)
	if r == nil { // the arguments of Check allocate
		invariant.Check(false, "fork %d is not there and gets a note", id)
	}
	r.note = note
}

// Own takes all notes and marks away, for a new owner.
func (t *Forks) Own() {
	for slot := range uint32(t.Len()) {
		r := t.record(slot)
		r.note, r.owed = 0, false
	}
}

// Clone gives a copy that shares nothing. Cost: O(forks), little more than copying
// their bytes.
func (t *Forks) Clone() *Forks {
	if t == nil {
		return nil
	}
	c := &Forks{n: t.n, names: t.names.clone(), byID: t.byID.clone(), byName: t.byName.clone()}
	c.chunks = make([]*[recordsPerChunk]forkRecord, len(t.chunks))
	for i, chunk := range t.chunks {
		copied := *chunk
		c.chunks[i] = &copied
	}
	return c
}

func (r *forkRecord) set(f *Fork) {
	r.id, r.parent, r.top, r.memtable = f.ID, f.Parent, f.Top, f.Memtable
	r.createdUnixNano, r.createdLSN = f.CreatedUnixNano, f.CreatedLSN
}

func (t *Forks) fork(r *forkRecord) Fork {
	return Fork{
		ID: r.id, Name: string(t.nameOf(r)), Parent: r.parent, Top: r.top, Memtable: r.memtable,
		CreatedUnixNano: r.createdUnixNano, CreatedLSN: r.createdLSN,
	}
}

func (t *Forks) record(slot uint32) *forkRecord {
	return &t.chunks[slot/recordsPerChunk][slot%recordsPerChunk]
}

// find gives the record with that id, nil if there is none.
func (t *Forks) find(id ids.ForkID) *forkRecord {
	if t.Len() == 0 {
		return nil
	}
	_, slot, ok := t.placeOf(id)
	if !ok {
		return nil
	}
	return t.record(slot)
}

// placeOf gives where in byID the fork is, or would be: at the end for a new one.
func (t *Forks) placeOf(id ids.ForkID) (at position, slot uint32, ok bool) {
	if last, behind, ok := t.byID.last(); ok && t.record(last).id < id {
		return behind, 0, false
	}
	at = t.byID.find(func(slot uint32) bool { return t.record(slot).id < id })
	slot, ok = t.byID.get(at)
	return at, slot, ok && t.record(slot).id == id
}

// placeOfName gives where in byName a record is that is in the set.
func (t *Forks) placeOfName(r *forkRecord) position {
	at := t.byName.find(t.beforeName(t.nameOf(r), r.id))
	slot, ok := t.byName.get(at)
	if !ok || t.record(slot).id != r.id { // the arguments of Check allocate
		invariant.Check(false, "fork %d is not found by its name", r.id)
	}
	return at
}

// beforeName tells of records whether they come before that name and id.
func (t *Forks) beforeName(name []byte, id ids.ForkID) func(slot uint32) bool {
	return func(slot uint32) bool {
		r := t.record(slot)
		if c := bytes.Compare(t.nameOf(r), name); c != 0 {
			return c < 0
		}
		return r.id < id
	}
}

func (t *Forks) nameOf(r *forkRecord) []byte {
	return t.names.slab(r.nameBytes).get(r.name)[:r.nameBytes]
}

func (t *Forks) setName(slot uint32, name string) {
	r := t.record(slot)
	r.nameBytes = uint8(len(name))
	r.name = t.names.slab(r.nameBytes).add(slot, name)
}

// forgetName takes the record's name out of its slab. The slab's last name moves into
// its place.
func (t *Forks) forgetName(r *forkRecord) {
	if moved, ok := t.names.slab(r.nameBytes).remove(r.name); ok {
		t.record(moved).name = r.name
	}
}

// checkNow asserts, where assertions may cost, that the two orders are orders of the
// same records. It looks at small sets only.
func (t *Forks) checkNow() {
	const small = 64
	if !invariant.Expensive || t.n > small {
		return
	}
	var ids, names int
	var before *forkRecord
	for slot := range t.byID.from(position{}) {
		r := t.record(slot)
		invariant.Check(before == nil || before.id < r.id, "fork %d is out of order", r.id)
		invariant.Check(t.names.slab(r.nameBytes).slot(r.name) == slot, "fork %d: its name is another fork's", r.id)
		before = r
		ids++
	}
	before = nil
	for slot := range t.byName.from(position{}) {
		r := t.record(slot)
		invariant.Check(before == nil || t.beforeName(t.nameOf(r), r.id)(t.slotOf(before.id)), "fork %d is out of the order of names", r.id)
		before = r
		names++
	}
	invariant.Check(ids == t.n && names == t.n, "%d forks, %d by id and %d by name", t.n, ids, names)
}

func (t *Forks) slotOf(id ids.ForkID) uint32 {
	_, slot, _ := t.placeOf(id)
	return slot
}
