package iterator

// Skipper may know where rows come again while a walk steps over one tombstone
// after the other. It is used by the iterator's goroutine.
type Skipper interface {
	// Skip is asked every SkipEvery tombstones of a walk, with the key of the one
	// it stands on, whose bytes are good for the call. If it gives a key, there is no
	// row between: a forward walk goes on at or after that key, a backward walk
	// before it.
	Skip(key []byte, backward bool) (to []byte, ok bool)
	// Skipped ends a walk for which Skip was asked. end is the key of the row that
	// it came to, nil if there is none.
	Skipped(end []byte)
}

// SkipEvery is how many tombstones are stepped over before a Skipper is asked.
const SkipEvery = 256

// Live hides the tombstones of the iterator below it.
type Live struct {
	it    Iterator
	skip  Skipper // may be nil
	valid bool
	row   *Row // where it leaves its rows
	own   Row
}

// NewLive gives the rows of it that are not tombstones. A move costs as many
// moves of it as there are tombstones on the way, but those that skip, which may be
// nil, knows how to avoid. NewLive takes it over: it is closed by the Close of the
// result.
func NewLive(it Iterator, skip Skipper) *Live {
	l := &Live{}
	l.Reset(it, skip)
	return l
}

// Reset makes it what NewLive makes. It must be closed, or never have been used.
func (l *Live) Reset(it Iterator, skip Skipper) {
	*l = Live{it: it, skip: skip}
	l.Into(&l.own)
}

// First moves to the first row.
func (l *Live) First() bool { return l.forward(l.it.First()) }

// Last moves to the last row.
func (l *Live) Last() bool { return l.backward(l.it.Last()) }

// SeekGE moves to the first row at or after key.
func (l *Live) SeekGE(key []byte) bool { return l.forward(l.it.SeekGE(key)) }

// SeekLT moves to the last row before key.
func (l *Live) SeekLT(key []byte) bool { return l.backward(l.it.SeekLT(key)) }

// Next moves to the next row.
func (l *Live) Next() bool {
	if !l.valid {
		return false
	}
	if ok := l.it.Next(); !ok || l.row.Kind == Tombstone {
		return l.forward(ok)
	}
	return true
}

// Prev moves to the row before.
func (l *Live) Prev() bool {
	if !l.valid {
		return false
	}
	if ok := l.it.Prev(); !ok || l.row.Kind == Tombstone {
		return l.backward(ok)
	}
	return true
}

// Valid tells whether the iterator stands on a row.
func (l *Live) Valid() bool { return l.valid }

// Into makes moves leave the row in *row.
func (l *Live) Into(row *Row) {
	l.row = row
	l.it.Into(row)
}

// Key is the key of the row.
func (l *Live) Key() []byte { return l.row.Key }

// Kind is that of the row: Set.
func (l *Live) Kind() Kind { return l.row.Kind }

// Value is the value of the row.
func (l *Live) Value() []byte { return l.row.Value }

// Error is that of the iterator below.
func (l *Live) Error() error { return l.it.Error() }

// Close closes the iterator below.
func (l *Live) Close() error {
	l.valid = false
	return l.it.Close()
}

// forward goes on until a row that is no tombstone. An invalid iterator below stays
// where it is, so that an end or an error shows through unchanged.
func (l *Live) forward(ok bool) bool {
	if ok && l.row.Kind == Tombstone {
		ok = l.walk(l.it.Next, l.it.SeekGE, false)
	}
	l.valid = ok
	return ok
}

func (l *Live) backward(ok bool) bool {
	if ok && l.row.Kind == Tombstone {
		ok = l.walk(l.it.Prev, l.it.SeekLT, true)
	}
	l.valid = ok
	return ok
}

// walk steps over tombstones, of which it stands on the first.
func (l *Live) walk(step func() bool, seek func([]byte) bool, backward bool) bool {
	ok, asked := true, false
	for n := 1; ok && l.row.Kind == Tombstone; n++ {
		if n%SkipEvery == 0 && l.skip != nil {
			asked = true
			if to, known := l.skip.Skip(l.row.Key, backward); known {
				ok = seek(to)
				continue
			}
		}
		ok = step()
	}
	switch {
	case !asked:
	case ok:
		l.skip.Skipped(l.row.Key)
	case l.it.Error() == nil:
		l.skip.Skipped(nil)
	}
	return ok
}
