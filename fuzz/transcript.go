package fuzz

import (
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/fuzz/ops"
)

// transcript is what a store let be seen, one number for each operation: a hash
// of how it was refused and of every byte that was read. It owes nothing to the
// model, so two of them, of the same list in two configurations, say whether the
// stores agree even if the model is wrong or is not looking. One goroutine uses
// it; nil keeps nothing.
type transcript struct {
	done []uint64
	now  uint64
}

// saw adds what was read.
func (t *transcript) saw(b []byte) {
	if t != nil {
		t.now = bits.RotateLeft64(t.now, 5)*0x9e3779b97f4a7c15 ^ xxhash.Sum64(b)
	}
}

// refused adds how an operation ended.
func (t *transcript) refused(err error) {
	if t != nil {
		t.saw([]byte(refusal(err)))
	}
}

// end closes the present operation.
func (t *transcript) end() {
	if t != nil {
		t.done = append(t.done, t.now)
		t.now = 0
	}
}

// compareTranscripts demands that all configurations let the same be seen of a
// list.
func compareTranscripts(list []ops.Op, configs []Config, all []*transcript) error {
	for n, t := range all[1:] {
		if len(t.done) != len(all[0].done) {
			return fmt.Errorf("configuration %q went on for %d operations, %q for %d", configs[n+1].Name, len(t.done), configs[0].Name, len(all[0].done))
		}
		for i := range t.done {
			if t.done[i] == all[0].done[i] {
				continue
			}
			op := ops.Op{N: -1, Kind: ops.Check} // one of those at the end
			if i < len(list) {
				op = list[i]
			}
			return differ(op, "configuration %q lets something else be seen than %q", configs[n+1].Name, configs[0].Name)
		}
	}
	return nil
}
