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

// live hides the tombstones of the iterator below it.
type live struct {
	it   Iterator
	skip Skipper // may be nil
}

// NewLive gives the rows of it that are not tombstones. A move costs as many
// moves of it as there are tombstones on the way, but those that skip, which may be
// nil, knows how to avoid. NewLive takes it over: it is closed by the Close of the
// result.
func NewLive(it Iterator, skip Skipper) Iterator { return &live{it: it, skip: skip} }

func (l *live) First() bool            { return l.forward(l.it.First()) }
func (l *live) Last() bool             { return l.backward(l.it.Last()) }
func (l *live) SeekGE(key []byte) bool { return l.forward(l.it.SeekGE(key)) }
func (l *live) SeekLT(key []byte) bool { return l.backward(l.it.SeekLT(key)) }
func (l *live) Next() bool             { return l.forward(l.it.Next()) }
func (l *live) Prev() bool             { return l.backward(l.it.Prev()) }
func (l *live) Valid() bool            { return l.it.Valid() }
func (l *live) Key() []byte            { return l.it.Key() }
func (l *live) Kind() Kind             { return l.it.Kind() }
func (l *live) Value() []byte          { return l.it.Value() }
func (l *live) Error() error           { return l.it.Error() }
func (l *live) Close() error           { return l.it.Close() }

// forward goes on until a row that is no tombstone. An invalid it stays where
// it is, so that an end or an error shows through unchanged.
func (l *live) forward(ok bool) bool {
	if !ok || l.it.Kind() != Tombstone {
		return ok
	}
	return l.walk(l.it.Next, l.it.SeekGE, false)
}

func (l *live) backward(ok bool) bool {
	if !ok || l.it.Kind() != Tombstone {
		return ok
	}
	return l.walk(l.it.Prev, l.it.SeekLT, true)
}

// walk steps over tombstones, of which it stands on the first.
func (l *live) walk(step func() bool, seek func([]byte) bool, backward bool) bool {
	ok, asked := true, false
	for n := 1; ok && l.it.Kind() == Tombstone; n++ {
		if n%SkipEvery == 0 && l.skip != nil {
			asked = true
			if to, known := l.skip.Skip(l.it.Key(), backward); known {
				ok = seek(to)
				continue
			}
		}
		ok = step()
	}
	switch {
	case !asked:
	case ok:
		l.skip.Skipped(l.it.Key())
	case l.it.Error() == nil:
		l.skip.Skipped(nil)
	}
	return ok
}
