package damage

import (
	"errors"
	"fmt"
	"slices"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// builder does operations to a store and notes, after each, the state it must
// have and how far its log has come.
type builder struct {
	fs      *crashfs.FS
	driver  *fuzz.Driver
	options engine.Options

	states  []model.State
	lsns    []uint64
	synced  []bool
	last    uint64
	keys    map[string]bool
	earlier []map[string][]byte
}

// newBuilder makes a new store.
func newBuilder(o engine.Options) (*builder, error) {
	b := &builder{fs: crashfs.New(), options: o, states: []model.State{model.New()}, lsns: []uint64{0}, synced: []bool{true}, keys: map[string]bool{}}
	must(errors.Join(b.fs.MkdirAll(storeDir), b.fs.SyncDir(".")))
	return b, b.open()
}

func (b *builder) open() (err error) {
	b.driver, err = fuzz.OpenDriver(b.fs, storeDir, fuzz.Config{Name: "damage", Options: b.options}, nil, fuzz.NewCounts())
	return err
}

// do does one operation to the store, and to the model that a state is kept of.
func (b *builder) do(op ops.Op) error {
	if err := b.driver.Do(op); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	b.note(op)
	return nil
}

// note keeps the state after an operation, and how far the log has come.
func (b *builder) note(op ops.Op) {
	if chain := chainOf(filesOf(b.fs)); len(chain) > 0 {
		b.last = max(b.last, chain[0].lastLSN())
	}
	if !op.Mutates() {
		return
	}
	next, _ := ops.Apply(b.states[len(b.states)-1], op)
	b.states, b.lsns, b.synced = append(b.states, next), append(b.lsns, b.last), append(b.synced, !op.NoSync)
	for key := range keysOf(op) {
		b.keys[key] = true
	}
}

// moment keeps the files as they are now: damage may bring them back.
func (b *builder) moment() { b.earlier = append(b.earlier, filesOf(b.fs)) }

func keysOf(op ops.Op) map[string]bool {
	keys := map[string]bool{}
	if op.Key != "" {
		keys[op.Key] = true
	}
	for _, w := range op.Writes {
		if w.Key != "" {
			keys[w.Key] = true
		}
	}
	return keys
}

// keysUsed gives every key that was ever written, and for some of them one close
// by that was not.
func (b *builder) keysUsed() []string {
	var keys []string
	for key := range b.keys {
		keys = append(keys, key)
		if len(key)%2 == 0 {
			keys = append(keys, key+"\x00")
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// killed gives the specimen of the store as the process leaves it that dies now.
func (b *builder) killed(name string) (*Specimen, error) {
	return newSpecimen(name, b.fs.AfterKill(), b.options, b)
}

// closed closes the store and gives that specimen.
func (b *builder) closed(name string) (*Specimen, error) {
	if err := b.driver.Close(); err != nil {
		return nil, err
	}
	return newSpecimen(name, b.fs.AfterKill(), b.options, b)
}
