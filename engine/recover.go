package engine

import (
	"errors"
	"fmt"
	"maps"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/wal"
)

// replay builds, from the manifest's state and the log's records in order, what
// the store was when the last record was written. It keeps no I/O of its own.
//
// Every memtable that the log names is built, but those whose node is in tables
// already: their content is there. The manifest's fork table is exactly the log's
// through Applied, so from older structural records only the structure is taken
// (which node was frozen over which older one). What is kept in the end is
// decided by reachability alone, in forktree.Load: the fork that wrote a node may
// be long gone.
type replay struct {
	state  *manifest.State // a copy, whose forks and snapshots are brought up to date
	frozen map[ids.NodeID]forktree.Frozen
	mems   map[ids.NodeID]forktree.Memtable
	loads  map[ids.NodeID]*memtable.Loader // of those of mems that are being filled
}

func newReplay(loaded *manifest.State) *replay {
	state := *loaded
	state.Forks, state.Snapshots = loaded.Forks.Clone(), maps.Clone(loaded.Snapshots)
	return &replay{state: &state, frozen: map[ids.NodeID]forktree.Frozen{}, mems: map[ids.NodeID]forktree.Memtable{}, loads: map[ids.NodeID]*memtable.Loader{}}
}

// record takes one record of the log.
func (r *replay) record(rec wal.Record) error {
	if rec.LSN >= r.state.NextLSN {
		return fmt.Errorf("%w: LSN %d was never reserved, numbers end at %d", wal.ErrBadPayload, rec.LSN, r.state.NextLSN)
	}
	switch rec.Kind {
	case wal.KindBatch:
		return r.batch(rec)
	case wal.KindFreeze:
		fz, err := wal.DecodeFreeze(rec.Payload)
		if err != nil {
			return err
		}
		return r.freeze(rec.LSN, fz)
	case wal.KindFork:
		return r.fork(rec)
	case wal.KindSnapshot:
		return r.snapshot(rec)
	case wal.KindReset:
		return r.reset(rec)
	case wal.KindForkMany:
		return r.forkMany(rec)
	case wal.KindDropMany:
		return r.dropMany(rec)
	case wal.KindDrop, wal.KindDropSnapshot, wal.KindRename, wal.KindRenameSnapshot:
		return r.name(rec)
	default:
		return fmt.Errorf("%w: this version writes no records of kind %v", wal.ErrBadPayload, rec.Kind)
	}
}

// applied tells whether the manifest's fork table has the effect of a record.
func (r *replay) applied(lsn ids.LSN) bool { return lsn <= r.state.Applied }

func (r *replay) batch(rec wal.Record) error {
	parts, err := wal.DecodeBatch(rec.Payload)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if _, flushed := r.state.Nodes[p.Memtable]; flushed {
			continue
		}
		l, ok := r.loads[p.Memtable]
		if !ok {
			l = memtable.NewLoader()
			r.loads[p.Memtable] = l
			r.mems[p.Memtable] = forktree.Memtable{Low: rec.LSN}
		}
		if err := applyOps(l, rec.LSN, p.Ops); err != nil {
			return err
		}
	}
	return nil
}

func (r *replay) freeze(lsn ids.LSN, fz wal.Freeze) error {
	if fz.Node == 0 {
		return nil
	}
	if fz.Older >= fz.Node || fz.NewMemtable <= fz.Node {
		return fmt.Errorf("%w: node %d is frozen over %d, to be followed by memtable %d", wal.ErrBadPayload, fz.Node, fz.Older, fz.NewMemtable)
	}
	if err := r.reserved(uint64(fz.Fork), uint64(fz.NewMemtable)); err != nil {
		return err
	}
	if _, flushed := r.state.Nodes[fz.Node]; !flushed {
		if _, twice := r.frozen[fz.Node]; twice {
			return fmt.Errorf("%w: node %d is frozen twice", wal.ErrBadPayload, fz.Node)
		}
		r.frozen[fz.Node] = forktree.Frozen{Fork: fz.Fork, Older: fz.Older, LSN: lsn}
	}
	if f, ok := r.state.Forks.Get(fz.Fork); ok && !r.applied(lsn) {
		if f.Memtable != fz.Node {
			return fmt.Errorf("%w: fork %d freezes memtable %d, it has %d", wal.ErrBadPayload, fz.Fork, fz.Node, f.Memtable)
		}
		f.Top, f.Memtable = fz.Node, fz.NewMemtable
		r.state.Forks.Put(f)
	}
	return nil
}

func (r *replay) fork(rec wal.Record) error {
	p, err := wal.DecodeFork(rec.Payload)
	if err != nil {
		return err
	}
	if err := r.freeze(rec.LSN, p.Freeze); err != nil || r.applied(rec.LSN) {
		return err
	}
	return r.add(manifest.Fork{
		ID: p.Child, Name: p.Name, Parent: p.Parent, Top: p.Top, Memtable: p.Memtable,
		CreatedUnixNano: p.CreatedUnixNano, CreatedLSN: rec.LSN,
	})
}

// forkMany takes a record that makes many forks. Each is added as if it had a record
// of its own.
func (r *replay) forkMany(rec wal.Record) error {
	p, err := wal.DecodeForkMany(rec.Payload)
	if err != nil {
		return err
	}
	if len(p.Names) == 0 || len(p.Names) > MaxForkMany {
		return fmt.Errorf("%w: %d forks are made at once", wal.ErrBadPayload, len(p.Names))
	}
	if err := r.freeze(rec.LSN, p.Freeze); err != nil || r.applied(rec.LSN) {
		return err
	}
	for i, name := range p.Names {
		if err := r.add(manifest.Fork{
			ID: p.Child(i), Name: name, Parent: p.Parent, Top: p.Top, Memtable: p.Memtable(i),
			CreatedUnixNano: p.CreatedUnixNano, CreatedLSN: rec.LSN,
		}); err != nil {
			return err
		}
	}
	return nil
}

// add adds a fork that a record makes.
func (r *replay) add(f manifest.Fork) error {
	if err := errors.Join(recordName(f.Name), r.reserved(uint64(f.ID), uint64(f.Memtable))); err != nil {
		return err
	}
	if f.Parent >= f.ID {
		return fmt.Errorf("%w: fork %d is made from fork %d, which is not older", wal.ErrBadPayload, f.ID, f.Parent)
	}
	if r.state.Forks.Has(f.ID) {
		return fmt.Errorf("%w: fork %d is made twice", wal.ErrBadPayload, f.ID)
	}
	r.state.Forks.Put(f)
	return nil
}

// dropMany takes a record that drops many forks, of which each must be there, as for
// one that drops a single fork.
func (r *replay) dropMany(rec wal.Record) error {
	p, err := wal.DecodeDropMany(rec.Payload)
	if err != nil || r.applied(rec.LSN) {
		return err
	}
	for _, id := range p.Forks {
		if !r.state.Forks.Has(id) {
			return missing(rec, "fork", uint64(id))
		}
		r.state.Forks.Drop(id)
	}
	return nil
}

// missing is what is wrong with a record about something that is not there.
func missing(rec wal.Record, what string, id uint64) error {
	return fmt.Errorf("%w: %v record for %s %d, but there is none", wal.ErrBadPayload, rec.Kind, what, id)
}

func (r *replay) snapshot(rec wal.Record) error {
	p, err := wal.DecodeSnapshot(rec.Payload)
	if err != nil {
		return err
	}
	if err := r.freeze(rec.LSN, p.Freeze); err != nil || r.applied(rec.LSN) {
		return err
	}
	if err := errors.Join(recordName(p.Name), r.reserved(uint64(p.ID), uint64(p.Fork))); err != nil {
		return err
	}
	if _, twice := r.state.Snapshots[p.ID]; twice {
		return fmt.Errorf("%w: snapshot %d is made twice", wal.ErrBadPayload, p.ID)
	}
	r.state.Snapshots[p.ID] = manifest.Snapshot{
		ID: p.ID, Name: p.Name, Node: p.Node, Fork: p.Fork, CreatedUnixNano: p.CreatedUnixNano,
	}
	return nil
}

func (r *replay) reset(rec wal.Record) error {
	p, err := wal.DecodeReset(rec.Payload)
	if err != nil {
		return err
	}
	if err := r.freeze(rec.LSN, p.Freeze); err != nil || r.applied(rec.LSN) {
		return err
	}
	f, ok := r.state.Forks.Get(p.Fork)
	if !ok {
		return fmt.Errorf("%w: fork %d is reset, but there is none", wal.ErrBadPayload, p.Fork)
	}
	if err := r.reserved(uint64(p.Memtable)); err != nil {
		return err
	}
	f.Top, f.Memtable = p.Top, p.Memtable
	r.state.Forks.Put(f)
	return nil
}

// name takes the records that only touch the tables of forks and snapshots. They
// are durable before the manifest forgets what they end, so a record that is not
// applied yet must find its object.
func (r *replay) name(rec wal.Record) error {
	switch rec.Kind {
	case wal.KindDrop:
		p, err := wal.DecodeDrop(rec.Payload)
		if err != nil || r.applied(rec.LSN) {
			return err
		}
		if !r.state.Forks.Has(p.Fork) {
			return missing(rec, "fork", uint64(p.Fork))
		}
		r.state.Forks.Drop(p.Fork)
	case wal.KindDropSnapshot:
		p, err := wal.DecodeDropSnapshot(rec.Payload)
		if err != nil || r.applied(rec.LSN) {
			return err
		}
		if _, ok := r.state.Snapshots[p.ID]; !ok {
			return missing(rec, "snapshot", uint64(p.ID))
		}
		delete(r.state.Snapshots, p.ID)
	case wal.KindRename:
		p, err := wal.DecodeRename(rec.Payload)
		if err != nil || r.applied(rec.LSN) {
			return err
		}
		f, ok := r.state.Forks.Get(p.Fork)
		if !ok {
			return missing(rec, "fork", uint64(p.Fork))
		}
		if err := recordName(p.Name); err != nil {
			return err
		}
		f.Name = p.Name
		r.state.Forks.Put(f)
	case wal.KindRenameSnapshot:
		p, err := wal.DecodeRenameSnapshot(rec.Payload)
		if err != nil || r.applied(rec.LSN) {
			return err
		}
		n, ok := r.state.Snapshots[p.ID]
		if !ok {
			return missing(rec, "snapshot", uint64(p.ID))
		}
		if err := recordName(p.Name); err != nil {
			return err
		}
		n.Name = p.Name
		r.state.Snapshots[p.ID] = n
	}
	return nil
}

// tree builds the tree when all records have been taken. Names are looked at here
// once more: those of the manifest were checked for nothing but their length.
func (r *replay) tree() (*forktree.Tree, error) {
	for id, l := range r.loads {
		r.mems[id] = forktree.Memtable{Mem: l.Memtable(), Low: r.mems[id].Low}
	}
	tree, err := forktree.Load(r.state, r.frozen, r.mems)
	for f := range r.state.Forks.All() {
		err = errors.Join(err, CheckName(f.Name))
	}
	for _, n := range r.state.Snapshots {
		err = errors.Join(err, CheckName(n.Name))
	}
	if err != nil {
		return nil, &errs.CorruptError{File: "the log and the manifest", Offset: -1, Err: err}
	}
	return tree, nil
}

// reserved refuses numbers that were never given out.
func (r *replay) reserved(numbers ...uint64) error {
	for _, n := range numbers {
		if n == 0 || n >= r.state.NextID {
			return fmt.Errorf("%w: number %d was never reserved, they end at %d", wal.ErrBadPayload, n, r.state.NextID)
		}
	}
	return nil
}

// recordName refuses a name that no call would have accepted.
func recordName(name string) error {
	if err := CheckName(name); err != nil {
		return fmt.Errorf("%w: %w", wal.ErrBadPayload, err)
	}
	return nil
}
