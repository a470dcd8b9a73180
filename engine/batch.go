package engine

import (
	"bytes"
	"fmt"
	"slices"
	"sync"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/wal"
)

// Batch collects writes to one or several forks and commits them atomically:
// after a crash, and for every reader that opens an iterator, either all of them
// are there or none. Later writes to a key win over earlier ones. A Batch is used
// by one goroutine; after Commit it is empty and can be used again.
type Batch struct {
	s       *Store
	parts   []batchPart
	bytes   int
	count   int
	err     error
	records []wal.BatchPart // of a commit
	ops     [][]byte        // of the records
}

type batchPart struct {
	fork   *Fork
	also   []*Fork // further handles of the same fork that are bound to a name
	count  uint32
	ranges uint32 // how many of the operations are range deletes
	ops    []byte

	target *forktree.Fork // of a commit, under Store.mu only
}

// opOverhead is a bound on what one operation takes in a batch beside its key
// and value, in bytes.
const opOverhead = 16

// NewBatch makes an empty batch.
func (s *Store) NewBatch() *Batch { return &Batch{s: s} }

// Set adds "key has value in f". Key and value are copied. A limit that is
// passed is reported by Commit.
func (b *Batch) Set(f *Fork, key, value []byte) { b.add(f, iterator.Set, key, value) }

// Delete adds "key has no value in f". The key need not exist.
func (b *Batch) Delete(f *Fork, key []byte) { b.add(f, iterator.Tombstone, key, nil) }

// DeleteRange adds "no key in [lo, hi) has a value in f"; a nil bound is open. What
// the batch sets in the range before is deleted, what it sets later stays. It costs
// the same whatever lies in the range, and reads nothing of it. Bounds may be as
// long as keys.
func (b *Batch) DeleteRange(f *Fork, lo, hi []byte) {
	if !b.accepts(f) {
		return
	}
	if err := (Range{lo, hi}).checkBounds(); err != nil {
		b.fail(fmt.Errorf("delete range: %w", err))
		return
	}
	if hi != nil && bytes.Compare(lo, hi) >= 0 {
		return // no key is in it; and an empty bound in the log is an open one
	}
	b.put(f, iterator.RangeDelete, lo, hi)
}

// singles are batches for one operation each, between two uses: they know no store.
var singles = sync.Pool{New: func() any { return new(Batch) }}

// keptOpsBytes is the largest buffer that a batch among singles keeps.
const keptOpsBytes = 16 << 10

// single gives a batch for one operation. Give it back.
func (s *Store) single() *Batch {
	b := singles.Get().(*Batch)
	b.s = s
	return b
}

// commitSingle commits a batch that single has given, and gives it back.
func (b *Batch) commitSingle(opts []WriteOption) error {
	err := b.Commit(opts...)
	b.Reset()
	b.s = nil
	if parts := b.parts[:cap(b.parts)]; len(parts) == 0 || cap(parts[0].ops) <= keptOpsBytes {
		clear(b.records)
		clear(b.ops)
		singles.Put(b)
	}
	return err
}

// Len is the number of writes in the batch.
func (b *Batch) Len() int { return b.count }

// Bytes is what the batch counts for MaxBatchBytes.
func (b *Batch) Bytes() int { return b.bytes }

// Reset empties the batch and forgets its errors.
func (b *Batch) Reset() {
	for i := range b.parts {
		b.parts[i].fork, b.parts[i].target, b.parts[i].also = nil, nil, nil
		b.parts[i].ops = b.parts[i].ops[:0]
		b.parts[i].count, b.parts[i].ranges = 0, 0
	}
	b.parts = b.parts[:0]
	b.bytes, b.count, b.err = 0, 0, nil
}

func (b *Batch) fail(err error) {
	if b.err == nil {
		b.err = err
	}
}

// accepts tells whether the batch may be added to, for f.
func (b *Batch) accepts(f *Fork) bool {
	if b.err == nil && (f == nil || f.s != b.s) {
		b.fail(fmt.Errorf("batch: the fork belongs to another store"))
	}
	return b.err == nil
}

func (b *Batch) add(f *Fork, kind iterator.Kind, key, value []byte) {
	if !b.accepts(f) {
		return
	}
	if err := checkKey(key); err != nil {
		b.fail(err)
		return
	}
	if err := checkValue(value); err != nil {
		b.fail(err)
		return
	}
	b.put(f, kind, key, value)
}

// put adds an operation that has been checked.
func (b *Batch) put(f *Fork, kind iterator.Kind, key, value []byte) {
	size := len(key) + len(value) + opOverhead
	if b.bytes+size > MaxBatchBytes {
		b.fail(fmt.Errorf("%w: batch of more than %d bytes", ErrLimit, MaxBatchBytes))
		return
	}
	p := b.part(f)
	p.ops = wal.AppendOp(p.ops, kind, key, value)
	p.count++
	if kind == iterator.RangeDelete {
		p.ranges++
	}
	b.bytes += size
	b.count++
}

func (b *Batch) part(f *Fork) *batchPart {
	for i := len(b.parts) - 1; i >= 0; i-- {
		if p := &b.parts[i]; p.fork.id == f.id {
			if f.bound && f != p.fork && !slices.Contains(p.also, f) {
				p.also = append(p.also, f)
			}
			return p
		}
	}
	if len(b.parts) < cap(b.parts) {
		b.parts = b.parts[:len(b.parts)+1]
	} else {
		b.parts = append(b.parts, batchPart{})
	}
	p := &b.parts[len(b.parts)-1]
	p.fork = f
	return p
}

// Commit writes the batch and empties it. It returns when the writes are
// durable, or with NoSync when the operating system has them. If it returns an
// error that does not match ErrIndeterminate, nothing was written. On any error the
// batch keeps its contents.
func (b *Batch) Commit(opts ...WriteOption) error {
	if b.err != nil {
		return b.err
	}
	if b.count == 0 {
		if b.s.closed.Load() {
			return ErrClosed
		}
		return nil
	}
	if err := b.commit(synced(opts)); err != nil {
		return err
	}
	b.Reset()
	return nil
}

// commit is the life of one write:
//
//  1. wait if too much is unflushed, freeze memtables that a range delete empties,
//     and make room in the log (no lock held);
//  2. under the lock: check that every fork is alive, take the LSN, name the
//     memtables in the record, give the record its place in the log's buffer, put
//     the rows into the memtables, publish the LSN to readers;
//  3. without the lock: wait for the log, together with everybody else.
func (b *Batch) commit(durable bool) error {
	s, parts := b.s, b.parts
	if err := s.writable(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := s.throttle(parts); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := s.waitForLog(parts); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if err := s.freezeForRanges(parts); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	records, ops, front := b.records[:0], b.ops[:0], 0
	for _, p := range parts {
		records, ops = append(records, wal.BatchPart{Count: p.count, Ops: p.ops}), append(ops, p.ops)
		front -= len(p.ops)
	}
	b.records, b.ops = records, ops
	size := wal.BatchBytes(records)
	front += size
	if err := s.log.Reserve(size, false); err != nil {
		return s.writeError("write", err)
	}
	s.opts.Schedule.Reach(schedule.WriteReserved)
	lsn, err := s.place(size, func(lsn ids.LSN) (wal.Kind, []byte, error) {
		for i, p := range parts {
			x, err := p.fork.treeForkLocked()
			if err != nil {
				return 0, nil, err
			}
			for _, f := range p.also {
				if !f.meansLocked(x.Name) {
					return 0, nil, f.gone()
				}
			}
			parts[i].target = x
			records[i].Fork, records[i].Memtable = x.ID, x.MemtableID
		}
		for i, p := range parts {
			if err := s.applyLocked(p.target, lsn, records[i].Ops); err != nil {
				panic(err) // what AppendOp wrote, OpReader reads
			}
		}
		return wal.KindBatch, wal.AppendBatchHeader(s.scratchLocked(front), records), nil
	}, ops...)
	if err != nil {
		s.log.Unreserve(size)
		return fmt.Errorf("write: %w", err)
	}
	s.opts.Schedule.Reach(schedule.WritePlaced)
	s.wakeIfFull()
	if err := s.acknowledge(lsn, durable); err != nil {
		return s.indeterminate("write", err)
	}
	return nil
}

// applyLocked puts a batch's operations into the fork's memtable.
func (s *Store) applyLocked(f *forktree.Fork, lsn ids.LSN, ops []byte) error {
	m := s.memtableLocked(f, lsn)
	before := m.Bytes()
	err := applyOps(m, lsn, ops)
	if a, ok := f.Local.(*activeFork); ok {
		a.bare.writtenLocked(lsn, ops)
	}
	s.mu.activeBytes += m.Bytes() - before
	return err
}
