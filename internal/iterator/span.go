package iterator

import (
	"bytes"
	"slices"
)

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

// JoinSpans gives what any of the spans holds: sorted, disjoint, and neighbours as
// one. It may reorder and change the slice it is given, not the bounds.
func JoinSpans(spans []Span) []Span {
	if len(spans) == 0 {
		return nil
	}
	slices.SortFunc(spans, func(a, b Span) int { return bytes.Compare(a.Lo, b.Lo) })
	out := spans[:1]
	for _, next := range spans[1:] {
		last := &out[len(out)-1]
		switch {
		case last.Hi == nil:
			return out
		case bytes.Compare(last.Hi, next.Lo) < 0:
			out = append(out, next)
		case next.EndsAbove(last.Hi):
			last.Hi = next.Hi
		}
	}
	return out
}
