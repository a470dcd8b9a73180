package node

import (
	"fmt"
	"math/bits"
	"strings"
)

// The world is small, so that calls meet: places 0 to forkPlaces-1 are names of forks,
// those behind them names of snapshots, and every keyspace has the same few keys.
// Place 0 is the fork main, which nobody drops or renames.
const (
	forkPlaces     = 30
	snapshotPlaces = 6
	places         = forkPlaces + snapshotPlaces
	keys           = 5
)

func isSnapshot(place int) bool { return place >= forkPlaces }

// prefix begins the names of all forks but main, and of all snapshots.
const prefix = "kill/"

func nameOf(place int) string {
	switch {
	case place == 0:
		return "main"
	case isSnapshot(place):
		return fmt.Sprintf(prefix+"s%d", place-forkPlaces)
	default:
		return fmt.Sprintf(prefix+"f%02d", place)
	}
}

// placeOf is nameOf's inverse; false for any other name.
func placeOf(name string) (int, bool) {
	for p := range places {
		if nameOf(p) == name {
			return p, true
		}
	}
	return 0, false
}

// keyOf gives the name of a key; keys stand in the order of their numbers.
func keyOf(key int) []byte { return fmt.Appendf(nil, "key-%d", key) }

// content is what a keyspace holds.
type content [keys]mark

// state is the whole world at one moment. It is compared with ==: what is not alive
// has no content.
type state struct {
	alive    uint64 // a bit for each place
	contents [places]content
}

func (s *state) has(place int) bool { return s.alive>>place&1 != 0 }

func (s *state) put(place int, c content) {
	s.alive |= 1 << place
	s.contents[place] = c
}

func (s *state) drop(place int) {
	s.alive &^= 1 << place
	s.contents[place] = content{}
}

func (s state) String() string {
	var b strings.Builder
	for alive := s.alive; alive != 0; alive &= alive - 1 {
		p := bits.TrailingZeros64(alive)
		fmt.Fprintf(&b, "%s%v ", nameOf(p), s.contents[p])
	}
	return b.String()
}
