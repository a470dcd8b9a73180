package iterator

import (
	"bytes"
	"sort"
)

// masked hides the rows inside spans. Most rows lie between two spans, as the
// one before them did: so it knows in which gap it stands, and a step costs one
// comparison. Gap i lies between spans i-1 and i.
type masked struct {
	it    Iterator
	spans []Span
	gap   int
	valid bool // the row of it is one to be seen, and lies in the gap
	row   *Row // where it leaves its rows
	own   Row
}

// NewMasked gives the rows of it that are in none of spans, which must be sorted
// and disjoint. It jumps over a span with one seek, and a seek into one goes
// straight to its end, so what lies inside is not read. The spans are kept and
// must not change. NewMasked takes it over: it is closed by the Close of the
// result.
func NewMasked(it Iterator, spans []Span) Iterator {
	m := &masked{it: it, spans: spans}
	m.Into(&m.own)
	return m
}

func (m *masked) First() bool {
	m.gap = 0
	if len(m.spans) > 0 && len(m.spans[0].Lo) == 0 {
		return m.behind()
	}
	return m.forward(m.it.First())
}

func (m *masked) Last() bool {
	m.gap = len(m.spans)
	if m.gap > 0 && m.spans[m.gap-1].Hi == nil {
		return m.before()
	}
	return m.backward(m.it.Last())
}

func (m *masked) SeekGE(key []byte) bool {
	m.gap = m.firstEndingAbove(0, key)
	if m.gap < len(m.spans) && bytes.Compare(m.spans[m.gap].Lo, key) <= 0 {
		return m.behind()
	}
	return m.forward(m.it.SeekGE(key))
}

func (m *masked) SeekLT(key []byte) bool {
	m.gap = m.beginningAtOrBelow(len(m.spans), key)
	if m.gap > 0 {
		if s := m.spans[m.gap-1]; s.Hi == nil || bytes.Compare(s.Hi, key) >= 0 {
			return m.before()
		}
	}
	return m.backward(m.it.SeekLT(key))
}

func (m *masked) Next() bool { return m.valid && m.forward(m.it.Next()) }
func (m *masked) Prev() bool { return m.valid && m.backward(m.it.Prev()) }

func (m *masked) Valid() bool   { return m.valid }
func (m *masked) Key() []byte   { return m.row.Key }
func (m *masked) Kind() Kind    { return m.row.Kind }
func (m *masked) Value() []byte { return m.row.Value }
func (m *masked) Error() error  { return m.it.Error() }

func (m *masked) Into(row *Row) {
	m.row = row
	m.it.Into(row)
}

func (m *masked) Close() error {
	m.valid = false
	return m.it.Close()
}

// forward goes on until a row behind span gap-1 that is in no span.
func (m *masked) forward(ok bool) bool {
	for ok && m.gap < len(m.spans) && bytes.Compare(m.row.Key, m.spans[m.gap].Lo) >= 0 {
		if !m.spans[m.gap].EndsAbove(m.row.Key) {
			m.gap = m.firstEndingAbove(m.gap+1, m.row.Key)
			continue
		}
		ok = m.seekBehind()
	}
	m.valid = ok
	return ok
}

// backward goes on until a row before span gap that is in no span.
func (m *masked) backward(ok bool) bool {
	for ok && m.gap > 0 && m.spans[m.gap-1].EndsAbove(m.row.Key) {
		if bytes.Compare(m.row.Key, m.spans[m.gap-1].Lo) < 0 {
			m.gap = m.beginningAtOrBelow(m.gap-1, m.row.Key)
			continue
		}
		ok = m.seekBefore()
	}
	m.valid = ok
	return ok
}

func (m *masked) behind() bool { return m.forward(m.seekBehind()) }
func (m *masked) before() bool { return m.backward(m.seekBefore()) }

// seekBehind moves to the first row behind span gap and those that touch it.
func (m *masked) seekBehind() bool {
	hi := m.spans[m.gap].Hi
	m.gap++
	for hi != nil && m.gap < len(m.spans) && bytes.Equal(m.spans[m.gap].Lo, hi) {
		hi = m.spans[m.gap].Hi
		m.gap++
	}
	return hi != nil && m.it.SeekGE(hi)
}

// seekBefore moves to the last row before span gap-1 and those that touch it.
func (m *masked) seekBefore() bool {
	m.gap--
	lo := m.spans[m.gap].Lo
	for m.gap > 0 && bytes.Equal(m.spans[m.gap-1].Hi, lo) {
		m.gap--
		lo = m.spans[m.gap].Lo
	}
	return len(lo) > 0 && m.it.SeekLT(lo)
}

// firstEndingAbove is the number of the first span from lo on that ends above
// key.
func (m *masked) firstEndingAbove(lo int, key []byte) int {
	return lo + sort.Search(len(m.spans)-lo, func(i int) bool { return m.spans[lo+i].EndsAbove(key) })
}

// beginningAtOrBelow is how many of the first hi spans begin at or below key.
func (m *masked) beginningAtOrBelow(hi int, key []byte) int {
	return sort.Search(hi, func(i int) bool { return bytes.Compare(m.spans[i].Lo, key) > 0 })
}
