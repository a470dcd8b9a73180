package demo

import (
	"maps"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/cmd/tine/internal/tree"
)

// editableBytes is the largest file that agents edit.
const editableBytes = 64 << 10

// base is what was imported: the hash of the value of every key. It is written by
// one goroutine, frozen, and then only read.
type base struct {
	hash     map[string]uint64
	keys     []string // sorted
	editable []string // sorted; the keys of small files
}

func newBase() *base { return &base{hash: map[string]uint64{}} }

func (b *base) add(key, value []byte) {
	b.hash[string(key)] = xxhash.Sum64(value)
	if e, _, err := tree.Parse(value); err == nil && e.Kind == tree.File && e.Chunks == 0 && e.Size <= editableBytes {
		b.editable = append(b.editable, string(key))
	}
}

func (b *base) freeze() {
	b.keys = slices.Sorted(maps.Keys(b.hash))
	slices.Sort(b.editable)
}

// state is what one key should be: a value with this hash, or nothing.
type state struct {
	hash    uint64
	present bool
}

// expectation is what one fork should hold: the base and the changes since. It
// belongs to the goroutine that changes the fork, and is only read once all
// changes are done.
type expectation struct {
	base    *base
	changes map[string]state
	rows    int // keys that are present
}

func newExpectation(b *base) *expectation {
	return &expectation{base: b, changes: map[string]state{}, rows: len(b.keys)}
}

// fork copies the expectation, as the store should have done with the data.
func (e *expectation) fork() *expectation {
	return &expectation{base: e.base, changes: maps.Clone(e.changes), rows: e.rows}
}

func (e *expectation) of(key string) state {
	if s, ok := e.changes[key]; ok {
		return s
	}
	hash, ok := e.base.hash[key]
	return state{hash, ok}
}

func (e *expectation) set(key string, value []byte) {
	e.change(key, state{xxhash.Sum64(value), true})
}

func (e *expectation) delete(key string) { e.change(key, state{}) }

func (e *expectation) change(key string, s state) {
	was := e.of(key)
	switch {
	case s.present && !was.present:
		e.rows++
	case !s.present && was.present:
		e.rows--
	}
	e.changes[key] = s
}
