package iterator

// live hides the tombstones of the iterator below it.
type live struct{ it Iterator }

// NewLive gives the rows of it that are not tombstones. A move costs as many
// moves of it as there are tombstones on the way. NewLive takes it over: it is
// closed by the Close of the result.
func NewLive(it Iterator) Iterator { return &live{it: it} }

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
	for ok && l.it.Kind() == Tombstone {
		ok = l.it.Next()
	}
	return ok
}

func (l *live) backward(ok bool) bool {
	for ok && l.it.Kind() == Tombstone {
		ok = l.it.Prev()
	}
	return ok
}
