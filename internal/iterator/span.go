package iterator

import "bytes"

// Span is the keys of [Lo, Hi). An empty Lo means from the first key, a nil Hi to
// the last. A Span whose Hi is not above its Lo holds nothing.
type Span struct {
	Lo, Hi []byte
}

// Contains tells whether key is in the span.
func (s Span) Contains(key []byte) bool {
	return bytes.Compare(key, s.Lo) >= 0 && s.EndsAbove(key)
}

// EndsAbove tells whether the span goes on behind key, wherever it begins.
func (s Span) EndsAbove(key []byte) bool { return s.Hi == nil || bytes.Compare(key, s.Hi) < 0 }
