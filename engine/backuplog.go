package engine

import (
	"errors"
	"fmt"
	"math"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/wal"
)

// errCut ends the reading of the log at the cut: what lies behind may be in the middle
// of being written.
var errCut = errors.New("the log is read up to the cut")

// upToCut reads the log from the manifest's point of trimming to the cut.
func (b *backup) upToCut(from ids.LSN, fn func(wal.Record) error) error {
	rec, err := wal.Replay(b.log, b.s.dir, from, func(rec wal.Record) error {
		if rec.LSN <= b.cut {
			if err := fn(rec); err != nil {
				return err
			}
		}
		if rec.LSN >= b.cut {
			return errCut
		}
		return b.stopped()
	})
	switch {
	case errors.Is(err, errCut):
		return nil
	case err != nil:
		return err
	case rec.Last < b.cut:
		return errs.Corruptf("the log", -1, "it ends at LSN %d, but LSN %d was written", rec.Last, b.cut)
	}
	return nil
}

// replay builds the tree at the cut, of what is asked for. Its memtables are empty: one
// object stands for all of them.
func (b *backup) replay() (*forktree.Tree, error) {
	r := newReplay(b.state)
	empty := memtable.New()
	err := b.upToCut(b.state.Trimmed, func(rec wal.Record) error {
		if rec.Kind == wal.KindBatch {
			return r.shape(rec, empty)
		}
		return r.record(rec)
	})
	if err != nil {
		return nil, err
	}
	if err := b.choose(r); err != nil {
		return nil, err
	}
	return r.tree()
}

// shape notes which memtables a batch writes to, and puts nothing into them.
func (r *replay) shape(rec wal.Record, empty *memtable.Memtable) error {
	if rec.LSN >= r.state.NextLSN {
		return fmt.Errorf("%w: LSN %d was never reserved, numbers end at %d", wal.ErrBadPayload, rec.LSN, r.state.NextLSN)
	}
	parts, err := wal.DecodeBatch(rec.Payload)
	if err != nil {
		return err
	}
	for _, p := range parts {
		_, flushed := r.state.Nodes[p.Memtable]
		if _, known := r.mems[p.Memtable]; !flushed && !known {
			r.mems[p.Memtable] = forktree.Memtable{Mem: empty, Low: rec.LSN}
		}
	}
	return nil
}

// choose drops the forks and snapshots that are not asked for.
func (b *backup) choose(r *replay) error {
	if len(b.opts.Forks)+len(b.opts.Snapshots) == 0 {
		return nil
	}
	if len(b.opts.Forks) == 0 {
		return fmt.Errorf("no fork is named: a store has at least one")
	}
	forks, snapshots := map[ids.ForkID]bool{}, map[ids.SnapshotID]bool{}
	for _, ref := range b.opts.Forks {
		f, ok := r.state.Forks.Named(ref.Name)
		if !ok || !ref.means(uint64(f.ID)) {
			return fmt.Errorf("%s: %w", ref.text("fork"), ErrForkNotFound)
		}
		forks[f.ID] = true
	}
	byName := make(map[string]ids.SnapshotID, len(r.state.Snapshots))
	for id, n := range r.state.Snapshots {
		byName[n.Name] = id
	}
	for _, ref := range b.opts.Snapshots {
		id, ok := byName[ref.Name]
		if !ok || !ref.means(uint64(id)) {
			return fmt.Errorf("%s: %w", ref.text("snapshot"), ErrSnapshotNotFound)
		}
		snapshots[id] = true
	}
	var drop []ids.ForkID
	for f := range r.state.Forks.All() {
		if !forks[f.ID] {
			drop = append(drop, f.ID)
		}
	}
	for _, id := range drop {
		r.state.Forks.Drop(id)
	}
	for id := range r.state.Snapshots {
		if !snapshots[id] {
			delete(r.state.Snapshots, id)
		}
	}
	return nil
}

// means tells whether the number is that of what is meant, whose name is right.
func (r Ref) means(id uint64) bool { return r.ID == 0 || r.ID == id }

func (r Ref) text(kind string) string {
	if r.ID == 0 {
		return fmt.Sprintf("%s %q", kind, r.Name)
	}
	return fmt.Sprintf("%s %q with number %d", kind, r.Name, r.ID)
}

// needed gives the memtables, and the nodes in memory, whose rows only the log holds.
func needed(tree *forktree.Tree) map[ids.NodeID]bool {
	out := map[ids.NodeID]bool{}
	for _, n := range tree.InMemory(math.MaxUint64, nil) {
		out[n.ID] = true
	}
	for _, f := range tree.ActiveForks() {
		if f.Mem != nil {
			out[f.MemtableID] = true
		}
	}
	return out
}

// writeLog writes what is needed of the log to a log of its own: the writes to the
// memtables, under their LSNs, and which of them were frozen. The last record stands at
// the cut, and the manifest will say that all are applied: the forks are its own.
func (b *backup) writeLog(needed map[ids.NodeID]bool) error {
	w := &logCopy{b: b}
	err := b.upToCut(b.state.Trimmed, func(rec wal.Record) error { return w.take(rec, needed) })
	if err == nil && w.last < b.cut {
		err = w.add(b.cut, wal.KindFreeze, wal.Freeze{}.AppendTo(nil))
	}
	if err == nil {
		err = w.begin(b.cut + 1) // of a store in which nothing was ever written
	}
	if w.log != nil {
		err = errors.Join(err, w.log.Close())
	}
	if err != nil {
		return err
	}
	b.state.Trimmed, b.state.Applied = w.first, w.last
	b.report.LogRecords = w.records
	return nil
}

// logCopy is the log of a backup while it is written.
type logCopy struct {
	b           *backup
	log         *wal.Log
	first, last ids.LSN
	records     int
	pending     int // bytes that are not written yet
}

// logCopyBytes is how much is gathered for one write.
const logCopyBytes = 1 << 20

func (w *logCopy) take(rec wal.Record, needed map[ids.NodeID]bool) error {
	if rec.Kind == wal.KindBatch {
		parts, err := wal.DecodeBatch(rec.Payload)
		if err != nil {
			return err
		}
		kept := parts[:0]
		for _, p := range parts {
			if needed[p.Memtable] {
				kept = append(kept, p)
			}
		}
		if len(kept) == 0 {
			return nil
		}
		return w.add(rec.LSN, wal.KindBatch, wal.AppendBatch(nil, kept))
	}
	fz, err := freezeOf(rec)
	if err != nil || !needed[fz.Node] {
		return err
	}
	return w.add(rec.LSN, wal.KindFreeze, fz.AppendTo(nil))
}

// freezeOf gives the freeze that a structural record carries, if any.
func freezeOf(rec wal.Record) (fz wal.Freeze, err error) {
	switch rec.Kind {
	case wal.KindFreeze:
		return wal.DecodeFreeze(rec.Payload)
	case wal.KindFork:
		p, err := wal.DecodeFork(rec.Payload)
		return p.Freeze, err
	case wal.KindForkMany:
		p, err := wal.DecodeForkMany(rec.Payload)
		return p.Freeze, err
	case wal.KindSnapshot:
		p, err := wal.DecodeSnapshot(rec.Payload)
		return p.Freeze, err
	case wal.KindReset:
		p, err := wal.DecodeReset(rec.Payload)
		return p.Freeze, err
	}
	return wal.Freeze{}, nil
}

func (w *logCopy) add(lsn ids.LSN, kind wal.Kind, payload []byte) error {
	if err := w.begin(lsn); err != nil {
		return err
	}
	if err := w.log.Reserve(len(payload), false); err != nil {
		return err
	}
	w.log.Append(lsn, kind, payload)
	w.last = lsn
	w.records++
	if w.pending += len(payload); w.pending < logCopyBytes {
		return nil
	}
	w.pending = 0
	return w.log.Write(lsn)
}

// begin starts the log, unless it has begun. A small one gets small files.
func (w *logCopy) begin(first ids.LSN) (err error) {
	if w.log != nil {
		return nil
	}
	const slack = 64 << 10
	w.first = first
	w.log, err = wal.Start(w.b.to, ".", nil, first, wal.Options{
		SegmentBytes: min(w.b.s.opts.SegmentBytes, w.b.log.bytes+slack), NextFile: w.b.nextFile, MarkDelay: -1,
	})
	return err
}
