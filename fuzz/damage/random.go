package damage

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/ops"
)

// randomSpecimen makes a store by random operations, closed or killed.
func randomSpecimen(rng *rand.Rand) (*Specimen, error) {
	o := engine.Options{
		Manual: true, MemtableBytes: 64 << 10, SegmentBytes: int64(1+rng.IntN(4)) << 10, TableBytes: int64(1 + rng.IntN(3000)),
		BlockBytes: 1 + rng.IntN(600), CacheBytes: []int64{1, 64 << 10}[rng.IntN(2)], MaxOpenFiles: 1 + rng.IntN(6),
	}
	b, err := newBuilder(o)
	if err != nil {
		return nil, err
	}
	profile := []ops.Profile{ops.Crashing(), ops.Merging(), ops.Freezing()}[rng.IntN(3)]
	for _, op := range ops.NewGenerator(rng.Uint64(), profile).List(30 + rng.IntN(90)) {
		if rng.IntN(20) == 0 {
			b.moment()
		}
		if err := b.do(op); err != nil {
			return nil, err
		}
	}
	if rng.IntN(2) == 0 {
		return b.closed("random, closed")
	}
	defer b.driver.Close() // after the image was taken
	return b.killed("random, killed")
}

// Random damages one file or two at random places, in one way or several.
func (s *Specimen) Random(rng *rand.Rand, cases int) iter.Seq[Case] {
	return func(yield func(Case) bool) {
		for range cases {
			files := map[string][]byte{}
			where, target := "", ""
			for range 1 + rng.IntN(3)/2 {
				target = s.names()[rng.IntN(len(s.files))]
				current, touched := files[target]
				if !touched {
					current = s.files[target]
				}
				var what string
				files[target], what = s.harm(slices.Clone(current), rng)
				where += fmt.Sprintf("%s of %s; ", what, target)
			}
			c := Case{Damage: "random", Where: where, Target: target, Files: files}
			if c.changes(s.files) && !yield(c) {
				return
			}
		}
	}
}

// harm changes a file's content at random and says what it did.
func (s *Specimen) harm(b []byte, rng *rand.Rand) (after []byte, what string) {
	if len(b) == 0 {
		return b, "nothing"
	}
	at := rng.IntN(len(b))
	if rng.IntN(2) == 0 { // where something is written, not where there is room
		for range 8 {
			if b[at] != 0 {
				break
			}
			at = rng.IntN(len(b))
		}
	}
	length := min(1<<rng.IntN(11), len(b)-at)
	switch rng.IntN(9) {
	case 0, 1, 2:
		for range 1 + rng.IntN(4) {
			b[at+rng.IntN(length)] ^= byte(1 + rng.IntN(255))
		}
		return b, fmt.Sprintf("a few of %d bytes at %d", length, at)
	case 3:
		for i := range length {
			b[at+i] = byte(rng.Uint32())
		}
		return b, fmt.Sprintf("noise in %d bytes at %d", length, at)
	case 4:
		clear(b[at : at+length])
		return b, fmt.Sprintf("zeros in %d bytes at %d", length, at)
	case 5:
		return b[:at], fmt.Sprintf("cut off at %d", at)
	case 6: // what a device does that writes to the wrong place
		from := rng.IntN(len(b))
		copy(b[at:at+length], b[from:])
		return b, fmt.Sprintf("%d bytes from %d written to %d", length, from, at)
	case 7:
		return slices.Delete(b, at, at+length), fmt.Sprintf("%d bytes at %d left out", length, at)
	}
	other := s.files[s.names()[rng.IntN(len(s.files))]]
	if at < len(other) {
		copy(b[at:at+length], other[at:])
	}
	return b, fmt.Sprintf("%d bytes at %d from another file", length, at)
}
