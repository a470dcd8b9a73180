package iterator

import "bytes"

// Merge gives the union of several inputs, each key once: the row of the newest
// input that has the key. Tombstones are rows like any other; whoever wants
// them hidden puts NewLive on top. An error of any input ends the merge at once,
// because rows behind it could be wrong: an older row would come to light.
//
// The inputs are kept in a sorted array of their numbers rather than in a heap
// or a loser tree. There are rarely more than a dozen, so moving 4-byte numbers
// is free, the runner-up is always at hand, an input that goes on leading costs
// one comparison a row, and one that falls behind finds its place in
// log2(inputs) more, half of what a heap needs.
//
// Invariants, between calls: order holds the inputs that stand on a row, sorted
// by key (falling if backward), the first strictly ahead of all others; every
// other row on the current key has been stepped over. An empty order means that
// the merge is not valid.
type Merge struct {
	inputs   []mergeInput
	order    []int32
	backward bool
	err      error // sticky
}

type mergeInput struct {
	it  Iterator
	key []byte // it.Key(), kept to save a call for each comparison
}

// NewMerge merges inputs, newest first, and takes them over: Close closes them.
// It allocates once for all; no move allocates.
func NewMerge(inputs []Iterator) *Merge {
	m := &Merge{inputs: make([]mergeInput, len(inputs)), order: make([]int32, 0, len(inputs))}
	for i, it := range inputs {
		m.inputs[i].it = it
	}
	return m
}

// First moves to the smallest key of all inputs.
func (m *Merge) First() bool {
	m.start(false)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.First()) {
			return false
		}
	}
	return m.settle()
}

// Last moves to the largest key of all inputs.
func (m *Merge) Last() bool {
	m.start(true)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.Last()) {
			return false
		}
	}
	return m.settle()
}

// SeekGE moves to the smallest key at or after key.
func (m *Merge) SeekGE(key []byte) bool {
	m.start(false)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.SeekGE(key)) {
			return false
		}
	}
	return m.settle()
}

// SeekLT moves to the largest key before key.
func (m *Merge) SeekLT(key []byte) bool {
	m.start(true)
	for i := range m.inputs {
		if !m.add(i, m.inputs[i].it.SeekLT(key)) {
			return false
		}
	}
	return m.settle()
}

// Next moves to the next larger key. After a backward move it first seeks all
// inputs but the leading one.
func (m *Merge) Next() bool {
	if len(m.order) == 0 || m.backward && !m.turn() {
		return false
	}
	in := &m.inputs[m.order[0]]
	return m.moved(in, in.it.Next())
}

// Prev moves to the next smaller key. After a forward move it first seeks all
// inputs but the leading one.
func (m *Merge) Prev() bool {
	if len(m.order) == 0 || !m.backward && !m.turn() {
		return false
	}
	in := &m.inputs[m.order[0]]
	return m.moved(in, in.it.Prev())
}

// Valid tells whether the merge stands on a row.
func (m *Merge) Valid() bool { return len(m.order) > 0 }

// Key is the current key; it aliases the leading input's.
func (m *Merge) Key() []byte { return m.inputs[m.order[0]].key }

// Kind is the kind of the current row.
func (m *Merge) Kind() Kind { return m.inputs[m.order[0]].it.Kind() }

// Value is the value of the current row; it aliases the leading input's.
func (m *Merge) Value() []byte { return m.inputs[m.order[0]].it.Value() }

// Source is the number of the input that the current row comes from: its place
// in the slice that NewMerge got.
func (m *Merge) Source() int { return int(m.order[0]) }

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
	}
	return m.err
}

// start begins a positioning call.
func (m *Merge) start(backward bool) {
	m.order = m.order[:0]
	m.backward = backward
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
	in.key = in.it.Key()
	n := m.rank(int32(i), m.order)
	m.order = append(m.order, 0)
	copy(m.order[n+1:], m.order[n:])
	m.order[n] = int32(i)
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
		return m.settle()
	}
	in.key = in.it.Key()
	if len(m.order) == 1 {
		return true
	}
	c := bytes.Compare(in.key, m.inputs[m.order[1]].key)
	if m.backward {
		c = -c
	}
	if c < 0 {
		return true // still leading, and nobody else has the key
	}
	m.replace(0)
	return m.settle()
}

// settle steps every input over the leading key, except the newest that has it,
// which leads. It is Valid() in the end.
func (m *Merge) settle() bool {
	for len(m.order) > 1 {
		next := &m.inputs[m.order[1]]
		if !bytes.Equal(m.inputs[m.order[0]].key, next.key) {
			break
		}
		if m.step(next) {
			next.key = next.it.Key()
			m.replace(1)
			continue
		}
		if !m.ended(next) {
			return false
		}
		m.remove(1)
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
	leader := m.order[0]
	key := m.inputs[leader].key // alive until the leader itself moves
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
			if ok && bytes.Equal(in.it.Key(), key) {
				ok = in.it.Next()
			}
		}
		if !m.add(i, ok) {
			return false
		}
	}
	m.order = append(m.order, 0)
	copy(m.order[1:], m.order)
	m.order[0] = leader
	return true
}

// replace finds the new place of order[at], whose key has moved on.
func (m *Merge) replace(at int) {
	i := m.order[at]
	n := m.rank(i, m.order[at+1:])
	copy(m.order[at:], m.order[at+1:at+1+n])
	m.order[at+n] = i
}

// rank counts the inputs of the sorted stretch that come before input i.
func (m *Merge) rank(i int32, sorted []int32) int {
	lo, hi := 0, len(sorted)
	for lo < hi {
		mid := (lo + hi) / 2
		if m.before(sorted[mid], i) {
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
	c := bytes.Compare(m.inputs[a].key, m.inputs[b].key)
	if m.backward {
		c = -c
	}
	return c < 0 || c == 0 && a < b
}

func (m *Merge) remove(at int) {
	copy(m.order[at:], m.order[at+1:])
	m.order = m.order[:len(m.order)-1]
}
