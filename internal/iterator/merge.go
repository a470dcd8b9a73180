package iterator

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// Merge gives the union of several inputs, each key once: the row of the newest
// input that has the key. Tombstones are rows like any other; whoever wants
// them hidden puts NewLive on top. An error of any input ends the merge at once,
// because rows behind it could be wrong: an older row would come to light.
//
// The inputs are kept in a sorted array rather than in a heap or a loser tree. There
// are rarely more than a dozen, so the runner-up is always at hand, and an input
// that goes on leading costs one comparison a row. One that falls behind finds its
// place without a branch that the processor could guess wrong: it counts the inputs
// whose keys are less, all of them. For that, keys are compared by their heads, the
// eight bytes behind what all keys begin with; only where heads are equal are the
// keys themselves looked at.
//
// Invariants, between calls: order holds the inputs that stand on a row, sorted
// by key (falling if backward), the first strictly ahead of all others; every
// other row on the current key has been stepped over. An empty order means that
// the merge is not valid. If there are two or more, their keys begin with shared,
// and the heads in order are of what follows.
type Merge struct {
	inputs   []mergeInput
	order    []mergePlace
	shared   []byte // own copy
	flip     uint64 // all ones if backward: heads rise then, too
	ties     int    // comparisons that the heads did not decide since they were cut
	backward bool
	into     *Row  // nil if nobody asked for it
	err      error // sticky
}

// mergePlace is an input in its order.
type mergePlace struct {
	head  uint64
	input int32
}

// Where so many comparisons had to look at keys, what they share is found anew.
const mergeTies = 32

type mergeInput struct {
	it  Iterator
	row Row // where it leaves its rows
}

// NewMerge merges inputs, newest first, and takes them over: Close closes them.
// It allocates once for all; no move allocates.
func NewMerge(inputs []Iterator) *Merge {
	m := &Merge{}
	m.Reset(inputs)
	return m
}

// Reset makes it a new merge of inputs, in the memory that it has. It must be closed, or
// never have been used.
func (m *Merge) Reset(inputs []Iterator) {
	n := len(inputs)
	*m = Merge{inputs: slices.Grow(m.inputs[:0], n)[:n], order: slices.Grow(m.order[:0], n), shared: m.shared[:0]}
	for i, it := range inputs {
		m.inputs[i] = mergeInput{it: it}
		it.Into(&m.inputs[i].row)
	}
}

// First moves to the smallest key of all inputs.
func (m *Merge) First() bool {
	m.start(false)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.First()) {
			return false
		}
	}
	return m.arrive()
}

// Last moves to the largest key of all inputs.
func (m *Merge) Last() bool {
	m.start(true)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.Last()) {
			return false
		}
	}
	return m.arrive()
}

// SeekGE moves to the smallest key at or after key.
func (m *Merge) SeekGE(key []byte) bool {
	m.start(false)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.SeekGE(key)) {
			return false
		}
	}
	return m.arrive()
}

// SeekLT moves to the largest key before key.
func (m *Merge) SeekLT(key []byte) bool {
	m.start(true)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.SeekLT(key)) {
			return false
		}
	}
	return m.arrive()
}

// Next moves to the next larger key. After a backward move it first seeks all
// inputs but the leading one.
func (m *Merge) Next() bool {
	if len(m.order) == 0 || m.backward && !m.turn() {
		return false
	}
	in := &m.inputs[m.order[0].input]
	return m.moved(in, in.it.Next())
}

// Prev moves to the next smaller key. After a forward move it first seeks all
// inputs but the leading one.
func (m *Merge) Prev() bool {
	if len(m.order) == 0 || !m.backward && !m.turn() {
		return false
	}
	in := &m.inputs[m.order[0].input]
	return m.moved(in, in.it.Prev())
}

// Valid tells whether the merge stands on a row.
func (m *Merge) Valid() bool { return len(m.order) > 0 }

// Into makes moves leave the row in *row.
func (m *Merge) Into(row *Row) { m.into = row }

// Key is the current key; it aliases the leading input's.
func (m *Merge) Key() []byte { return m.inputs[m.order[0].input].row.Key }

// Kind is the kind of the current row.
func (m *Merge) Kind() Kind { return m.inputs[m.order[0].input].row.Kind }

// Value is the value of the current row; it aliases the leading input's.
func (m *Merge) Value() []byte { return m.inputs[m.order[0].input].row.Value }

// Source is the number of the input that the current row comes from: its place
// in the slice that NewMerge got.
func (m *Merge) Source() int { return int(m.order[0].input) }

// Error is the first error of any input.
func (m *Merge) Error() error { return m.err }

// Close closes all inputs. It returns the sticky error or else the first error
// of their Close.
func (m *Merge) Close() error {
	m.order = m.order[:0]
	for i := range m.inputs {
		if err := m.inputs[i].it.Close(); m.err == nil {
			m.err = err
		}
		m.inputs[i].row = Row{}
	}
	return m.err
}

// start begins a positioning call.
func (m *Merge) start(backward bool) {
	m.order = m.order[:0]
	m.backward, m.flip = backward, 0
	if backward {
		m.flip = ^uint64(0)
	}
}

// add puts input i, just positioned with result ok, into the order. It is false
// if an error stands.
func (m *Merge) add(i int, ok bool) bool {
	if m.err != nil {
		return false
	}
	in := &m.inputs[i]
	if !ok {
		return m.ended(in)
	}
	m.insert(m.rank(int32(i), m.order), int32(i))
	return true
}

// ended handles an input that has no row: its end, which returns true, or its
// error, which stops the merge.
func (m *Merge) ended(in *mergeInput) bool {
	if err := in.it.Error(); err != nil {
		m.err = err
		m.order = m.order[:0]
		return false
	}
	return true
}

// moved finishes a step of the leading input.
func (m *Merge) moved(in *mergeInput, ok bool) bool {
	if !ok {
		if !m.ended(in) {
			return false
		}
		m.remove(0)
		return m.land()
	}
	if len(m.order) > 1 {
		head, ok := m.head(in.row.Key)
		if !ok {
			m.replaceFar()
			return m.land()
		}
		if head >= m.order[1].head {
			m.replace(0, head)
			return m.land()
		}
		m.order[0].head = head
	}
	// It still leads, and nobody else has the key.
	if m.into != nil {
		*m.into = in.row
	}
	return true
}

// arrive ends a move of all inputs.
func (m *Merge) arrive() bool {
	m.cut()
	return m.land()
}

// land ends a move with the leading input's row, if there is one.
func (m *Merge) land() bool {
	if !m.settle() {
		return false
	}
	if m.into != nil {
		*m.into = m.inputs[m.order[0].input].row
	}
	return true
}

// settle steps every input over the leading key, except the newest that has it,
// which leads. It is Valid() in the end.
func (m *Merge) settle() bool {
	for len(m.order) > 1 && m.order[0].head == m.order[1].head {
		next := &m.inputs[m.order[1].input]
		if !bytes.Equal(m.inputs[m.order[0].input].row.Key, next.row.Key) {
			break
		}
		if !m.step(next) {
			if !m.ended(next) {
				return false
			}
			m.remove(1)
			continue
		}
		if head, ok := m.head(next.row.Key); ok {
			m.replace(1, head)
		} else {
			i := m.order[1].input
			m.remove(1)
			m.insert(1+m.rank(i, m.order[1:]), i)
			m.cut()
		}
	}
	return len(m.order) > 0
}

func (m *Merge) step(in *mergeInput) bool {
	if m.backward {
		return in.it.Prev()
	}
	return in.it.Next()
}

// turn changes the direction of a valid merge without moving it: all inputs but
// the leading one are brought to the other side of the current key. Seeking
// instead of stepping also finds those that had run out.
func (m *Merge) turn() bool {
	leader := m.order[0].input
	key := m.inputs[leader].row.Key // alive until the leader itself moves
	m.start(!m.backward)
	for i := range m.inputs {
		if int32(i) == leader {
			continue
		}
		in := &m.inputs[i]
		var ok bool
		if m.backward {
			ok = in.it.SeekLT(key)
		} else {
			ok = in.it.SeekGE(key)
			if ok && bytes.Equal(in.row.Key, key) {
				ok = in.it.Next()
			}
		}
		if !m.add(i, ok) {
			return false
		}
	}
	m.insert(0, leader)
	m.cut()
	return true
}

// head gives the head of a key, if it begins with shared.
func (m *Merge) head(key []byte) (uint64, bool) {
	if len(key) < len(m.shared) || string(key[:len(m.shared)]) != string(m.shared) {
		return 0, false
	}
	return head(key[len(m.shared):]) ^ m.flip, true
}

// head gives the first eight bytes of key as a number that compares like them;
// what key is short of counts as zero.
func head(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// cut finds out what the keys share, and gives all inputs their heads. All keys
// share what the first and the last in the order do. Of that, so much is left in
// the heads as has room there, so that they still do when the keys have moved on.
func (m *Merge) cut() {
	m.ties = 0
	if len(m.order) < 2 {
		return
	}
	first, last := m.key(0), m.key(len(m.order)-1)
	n := 0
	for most := min(len(first), len(last), max(len(first), len(last))-8); n < most && first[n] == last[n]; {
		n++
	}
	m.shared = append(m.shared[:0], first[:n]...)
	for at := range m.order {
		m.order[at].head = head(m.key(at)[n:]) ^ m.flip
	}
}

// key gives the key of the input at a place of the order.
func (m *Merge) key(at int) []byte { return m.inputs[m.order[at].input].row.Key }

// replace finds the new place of order[at], whose key has moved on and has that
// head.
func (m *Merge) replace(at int, h uint64) {
	i := m.order[at].input
	rest := m.order[at+1:]
	n := uint64(0)
	for k := range rest {
		_, less := bits.Sub64(rest[k].head, h, 0)
		n += less
	}
	for ; n < uint64(len(rest)) && rest[n].head == h; n++ {
		m.ties++
		if !m.before(rest[n].input, i) {
			break
		}
	}
	for k := range rest[:n] {
		m.order[at+k] = rest[k]
	}
	m.order[at+int(n)] = mergePlace{h, i}
	if m.ties >= mergeTies {
		m.cut()
	}
}

// replaceFar finds the new place of the leading input, whose key does no longer
// begin with shared.
func (m *Merge) replaceFar() {
	i := m.order[0].input
	m.remove(0)
	m.insert(m.rank(i, m.order), i)
	m.cut()
}

// rank counts the inputs of the sorted stretch that come before input i, by their
// keys alone.
func (m *Merge) rank(i int32, sorted []mergePlace) int {
	lo, hi := 0, len(sorted)
	for lo < hi {
		mid := (lo + hi) / 2
		if m.before(sorted[mid].input, i) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// before tells whether input a comes before input b: by key in the direction of
// the walk, and for equal keys the newer one first.
func (m *Merge) before(a, b int32) bool {
	c := bytes.Compare(m.inputs[a].row.Key, m.inputs[b].row.Key)
	if m.backward {
		c = -c
	}
	return c < 0 || c == 0 && a < b
}

// insert puts input i into the order; its head is still to be cut.
func (m *Merge) insert(at int, i int32) {
	m.order = append(m.order, mergePlace{})
	copy(m.order[at+1:], m.order[at:])
	m.order[at] = mergePlace{input: i}
}

func (m *Merge) remove(at int) {
	copy(m.order[at:], m.order[at+1:])
	m.order = m.order[:len(m.order)-1]
}
