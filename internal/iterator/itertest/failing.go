package itertest

import "github.com/tinedb/tine/internal/iterator"

// failing is an iterator whose moves fail from a given one on.
type failing struct {
	iterator.Iterator
	movesLeft int
	cause     error
	err       error // sticky; also the result of Close
}

// Failing gives it with its move number moves+1 and all later ones failing with
// cause, as if the disk had gone bad. A move is any positioning call on a valid
// position or a seek; Next and Prev of an invalid iterator do not count.
func Failing(it iterator.Iterator, moves int, cause error) iterator.Iterator {
	return &failing{Iterator: it, movesLeft: moves, cause: cause}
}

func (f *failing) First() bool            { return f.spend() && f.Iterator.First() }
func (f *failing) Last() bool             { return f.spend() && f.Iterator.Last() }
func (f *failing) SeekGE(key []byte) bool { return f.spend() && f.Iterator.SeekGE(key) }
func (f *failing) SeekLT(key []byte) bool { return f.spend() && f.Iterator.SeekLT(key) }
func (f *failing) Next() bool             { return f.Valid() && f.spend() && f.Iterator.Next() }
func (f *failing) Prev() bool             { return f.Valid() && f.spend() && f.Iterator.Prev() }
func (f *failing) Valid() bool            { return f.err == nil && f.Iterator.Valid() }
func (f *failing) Error() error           { return f.err }

func (f *failing) Close() error {
	if err := f.Iterator.Close(); f.err == nil {
		f.err = err
	}
	return f.err
}

// spend counts a move. It is false if the move fails.
func (f *failing) spend() bool {
	if f.err != nil {
		return false
	}
	if f.movesLeft == 0 {
		f.err = f.cause
		return false
	}
	f.movesLeft--
	return true
}
