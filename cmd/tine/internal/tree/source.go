package tree

import "github.com/tinedb/tine/engine"

// Rows walks the rows of a fork or snapshot forwards, as an iterator of the engine does.
type Rows interface {
	First() bool
	SeekGE(key []byte) bool
	Next() bool
	Valid() bool
	Key() []byte
	Value() []byte
	Error() error
	Close() error
}

// Resumed is how often a scan of rows went on at a later moment than it began; 0 of rows
// that do not tell.
func Resumed(rows Rows) int {
	if r, tells := rows.(interface{ Resumed() int }); tells {
		return r.Resumed()
	}
	return 0
}

// Source is a fork or snapshot that holds a tree: in a store, or on a node.
type Source interface {
	Rows(engine.Range) (Rows, error)
}

// Batch collects writes to one fork.
type Batch interface {
	Set(key, value []byte)
	Delete(key []byte)
	Len() int
	Bytes() int
	Reset()
	// Commit writes the batch, unsynced, and empties it.
	Commit() error
}

// Target is a fork that a tree is stored in.
type Target interface {
	Source
	NewBatch() Batch
	// BatchBytes is about how much a batch may hold; a single row may be larger.
	BatchBytes() int
	// Sync makes durable what was committed.
	Sync() error
}

// From makes a source of an engine's fork or snapshot.
func From(space interface {
	NewIter(engine.Range) (*engine.Iterator, error)
}) Source {
	return engineSource{space.NewIter}
}

type engineSource struct {
	iter func(engine.Range) (*engine.Iterator, error)
}

func (s engineSource) Rows(r engine.Range) (Rows, error) {
	it, err := s.iter(r)
	if err != nil {
		return nil, err
	}
	return it, nil
}

// Into makes a target of an engine's fork.
func Into(store *engine.Store, fork *engine.Fork) Target {
	return engineTarget{From(fork), store, fork}
}

type engineTarget struct {
	Source
	store *engine.Store
	fork  *engine.Fork
}

func (t engineTarget) NewBatch() Batch { return &engineBatch{t.store.NewBatch(), t.fork} }
func (t engineTarget) BatchBytes() int { return batchBytes }
func (t engineTarget) Sync() error     { return t.store.Sync() }

type engineBatch struct {
	*engine.Batch
	fork *engine.Fork
}

func (b *engineBatch) Set(key, value []byte) { b.Batch.Set(b.fork, key, value) }
func (b *engineBatch) Delete(key []byte)     { b.Batch.Delete(b.fork, key) }
func (b *engineBatch) Commit() error         { return b.Batch.Commit(engine.NoSync) }
