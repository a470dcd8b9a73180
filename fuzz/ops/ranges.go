package ops

import (
	"github.com/tinedb/tine/fuzz/model"
)

// reach draws a range to delete in a fork: most hold a few rows that are there,
// many of which the fork has from those it was made of; some hold everything from
// or up to a key, all keys that begin alike, all there is, or nothing. Seldom the
// bounds are the wrong way round, and the range is refused.
func (g *Generator) reach(fork string) model.Range {
	r := g.stretch(fork)
	if r.Lower != nil && r.Upper != nil && *r.Lower != *r.Upper && g.rng.Float64() < g.profile.Wrong {
		r.Lower, r.Upper = r.Upper, r.Lower
	}
	return r
}

func (g *Generator) stretch(fork string) model.Range {
	f, _ := g.state.Forks.Get(fork)
	held := f.Contents.Len()
	switch draw := g.rng.IntN(32); {
	case draw == 0:
		return All
	case draw == 1:
		return model.Range{Upper: Bound(g.someKey())}
	case draw == 2:
		return model.Range{Lower: Bound(g.someKey())}
	case draw == 3:
		return g.nothing()
	case draw < 7:
		key := g.someKey()
		return beginning(key[:1+g.rng.IntN(min(3, len(key)))])
	case draw < 10 && held > 1: // about half of what is there
		from := g.rng.IntN(held/2 + 1)
		return g.between(f.Contents, from, from+held/2)
	case draw < 24 && held > 0:
		from := g.rng.IntN(held)
		return g.between(f.Contents, from, from+1+g.rng.IntN(5))
	}
	lower, upper := g.someKey(), g.someKey()
	return model.Range{Lower: Bound(min(lower, upper)), Upper: Bound(max(lower, upper))}
}

// between gives a range that holds the rows from … to-1 of contents. Its upper
// bound is the row after them, or just above the last.
func (g *Generator) between(contents model.Contents, from, to int) model.Range {
	to = min(to, contents.Len())
	lower, _ := contents.At(from)
	last, _ := contents.At(to - 1)
	upper := last + "\x00"
	if to < contents.Len() && g.rng.IntN(2) == 0 {
		upper, _ = contents.At(to)
	}
	return model.Range{Lower: &lower, Upper: &upper}
}

// nothing draws a range in which no key can be, or hardly one. An upper bound that
// is empty is not an open one.
func (g *Generator) nothing() model.Range {
	key := g.someKey()
	switch g.rng.IntN(4) {
	case 0:
		return model.Range{Upper: Bound("")}
	case 1:
		return model.Range{Lower: Bound(""), Upper: Bound("")}
	case 2:
		return model.Range{Lower: Bound(key + "\x00"), Upper: Bound(key + "\x00\x00")}
	}
	return model.Range{Lower: &key, Upper: &key}
}

// beginning gives the range of all keys that begin with prefix.
func beginning(prefix string) model.Range {
	r := model.Range{Lower: &prefix}
	for last := len(prefix) - 1; last >= 0; last-- {
		if c := prefix[last]; c < 0xff {
			r.Upper = Bound(prefix[:last] + string([]byte{c + 1}))
			break
		}
	}
	return r
}

// someKey draws one of the keys, never the empty one.
func (g *Generator) someKey() string { return g.keys[g.rng.IntN(len(g.keys))] }
