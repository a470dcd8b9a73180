package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

// flushJobBytes bounds the memory that one flush job writes out, so that a
// result is installed, and its memory freed, before the next is begun.
const flushJobBytes = 256 << 20

// claimsAtOnce is how many nodes are claimed, or installed, under one hold of the lock.
const claimsAtOnce = 256

// flushJobNodes bounds the nodes that one job writes, and so what it holds of their
// tables until they are installed: each names its first and its last key, up to
// 64 KiB both.
const flushJobNodes = 4096

// flush writes memory to tables: it freezes the memtables of the forks that
// freeze chooses, and then writes every node that is in memory. One swap serves
// every fork above a node; the tables of many small nodes share a file and its fsync,
// and the manifest's. A fork that was dropped before leaves nothing.
func (s *Store) flush(freeze func(*forktree.Fork) bool) error {
	return s.flushUntil(context.Background(), freeze)
}

// flushUntil is flush, but once ctx has ended it begins no more jobs.
func (s *Store) flushUntil(ctx context.Context, freeze func(*forktree.Fork) bool) error {
	if err := s.freezeForks(freeze); err != nil {
		return fmt.Errorf("flush: %w", err)
	}
	s.mu.Lock()
	upTo := ids.NodeID(s.nextID.Load())
	s.mu.Unlock()
	stuck := map[*forktree.Node]error{} // nodes that cannot be written for now
	stop := s.stopOf(ctx)
	for {
		if err := stop(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		did, err := s.flushNodes(s.inMemory(upTo), stuck, stop)
		if err != nil {
			return fmt.Errorf("flush: %w", err)
		}
		if !did && !s.waitForMemory(ctx, upTo) {
			break
		}
	}
	var failed []error
	for n, err := range stuck {
		failed = append(failed, fmt.Errorf("flush: node %d stays in memory: %w", n.ID, err))
	}
	return errors.Join(failed...)
}

// inMemory gives the nodes in memory with an id below upTo, oldest first.
func (s *Store) inMemory(upTo ids.NodeID) []*forktree.Node {
	s.mu.Lock()
	nodes := s.mu.tree.InMemory(upTo, s.mu.rest)
	s.mu.Unlock()
	slices.SortFunc(nodes, func(a, b *forktree.Node) int { return cmp.Compare(a.ID, b.ID) })
	return nodes
}

// flushNodes writes the nodes that it can claim, and tells whether there were any.
func (s *Store) flushNodes(nodes []*forktree.Node, stuck map[*forktree.Node]error, stop func() error) (did bool, err error) {
	for len(nodes) > 0 {
		if err := stop(); err != nil {
			return did, err
		}
		var some bool
		some, nodes, err = s.flushJob(nodes, stuck)
		if errors.Is(err, ErrBroken) && s.mu.failed() == nil {
			some, err = true, nil // the node that it was about is let be now: the others are written without it
		}
		if err != nil {
			return did, err
		}
		did = did || some
	}
	return did, nil
}

// waitForMemory waits for another job to give a claim back, if one holds a node
// in memory that a flush up to upTo has to write. It tells whether it waited.
func (s *Store) waitForMemory(ctx context.Context, upTo ids.NodeID) bool {
	defer context.AfterFunc(ctx, s.wakeWaiters)()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.tree.MemoryNodes() == 0 || s.closed.Load() || s.mu.failed() != nil {
		return false
	}
	for c := range s.mu.claims {
		for _, n := range c.Range {
			if n.Mem != nil && n.ID < upTo && n.Live() {
				if ctx.Err() == nil {
					s.mu.unclaimed.Wait()
				}
				return true
			}
		}
	}
	return false
}

// wakeWaiters has those who wait for claims look whether they are to go on waiting.
func (s *Store) wakeWaiters() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.unclaimed.Broadcast()
}

// freezeForks logs a freeze record for each chosen fork that has unfrozen rows.
func (s *Store) freezeForks(choose func(*forktree.Fork) bool) error {
	for _, f := range s.chooseForks(choose) {
		if err := s.writable(); err != nil {
			return err
		}
		if err := s.freeze(f, true); err != nil {
			return err
		}
	}
	return nil
}

// freeze logs a freeze record for the fork, if it has unfrozen rows; the record is
// written with the next one. privileged says that it may use the log's spare room, so
// that memory can be flushed on a full disk.
func (s *Store) freeze(f *forktree.Fork, privileged bool) error {
	size := len(wal.Freeze{}.AppendTo(make([]byte, 0, payloadRoom)))
	if err := s.log.Reserve(size, privileged); err != nil {
		return s.writeError("freeze", err)
	}
	s.opts.Schedule.Reach(schedule.RecordReserved)
	crowded := false
	_, err := s.place(size, func(lsn ids.LSN) (wal.Kind, []byte, error) {
		if f.Dropped() || f.Mem == nil {
			return 0, nil, errNothing
		}
		fz := s.freezeLocked(f, lsn)
		crowded = memoryStretch(f.Top) > compaction.DefaultPolicy().MaxMemory
		return wal.KindFreeze, fz.AppendTo(s.scratchLocked(payloadRoom)), nil
	})
	if err != nil {
		s.log.Unreserve(size)
		if errors.Is(err, errNothing) {
			return nil
		}
		return err
	}
	s.opts.Schedule.Reach(schedule.FreezePlaced)
	if crowded {
		s.wake()
	}
	return nil
}

func (s *Store) chooseForks(choose func(*forktree.Fork) bool) (chosen []*forktree.Fork) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.mu.tree.ActiveForks() {
		if f.Mem != nil && choose(f) {
			chosen = append(chosen, f)
		}
	}
	slices.SortFunc(chosen, func(a, b *forktree.Fork) int { return cmp.Compare(a.ID, b.ID) })
	return chosen
}

var errNothing = errors.New("nothing to do")

// flushJob writes the first of the nodes, up to a bound, installs them, and gives the
// nodes behind them.
//
//	claim → table data fsync → directory fsync → install and publish in one step →
//	(log durable) → manifest fsync → reclaim
//
// A node whose range deletes meet a table that cannot be read stays in memory and
// becomes stuck; the others are written without it.
func (s *Store) flushJob(nodes []*forktree.Node, stuck map[*forktree.Node]error) (did bool, rest []*forktree.Node, err error) {
	claims, below, rest := s.claimMemory(nodes, stuck)
	if len(claims) == 0 {
		return false, rest, nil
	}
	defer s.clock.flushes.since(time.Now())
	s.opts.Schedule.Reach(schedule.FlushPicked)
	out, err := s.newOutput()
	if err != nil {
		for _, v := range below {
			v.releaseQuietly()
		}
		s.unclaim(claims...)
		return false, rest, err
	}
	stop := unshielded(s.givingWay()) // one for all, as most nodes take less than a slice
	results := make([]flushed, len(claims))
	for i, c := range claims {
		err = s.shielded(c, func() (err error) {
			results[i], err = s.flushNode(c.Swap.Mem.(*memtable.Memtable), below[i], out, stop)
			return err
		})
		if errors.Is(err, errRanges) {
			stuck[c.Swap], err = err, nil
			results[i].stuck = true
		}
		if err != nil {
			break
		}
	}
	for _, v := range below {
		v.releaseQuietly()
	}
	if err == nil {
		err = out.Sync()
	}
	if err != nil {
		s.unclaim(claims...)
		return false, rest, errors.Join(diskFull(s.blame(err)), s.discard(out))
	}
	s.opts.Schedule.Reach(schedule.FlushWritten)
	s.installFlushed(claims, results, out)
	err = s.afterInstall(schedule.FlushPlaced)
	s.back.announce()
	s.closeOutput(out)
	return true, rest, err
}

// installFlushed installs the results of a flush, some at a time. Their tables share
// files, which have to stay although the first nodes may be gone before the last ones
// are installed.
func (s *Store) installFlushed(claims []*forktree.Claim, results []flushed, out *compaction.Output) {
	files := out.Files()
	s.pinFiles(files)
	few := s.opts.Schedule.Few(claimsAtOnce)
	for first := 0; first < len(claims); first += few {
		if first > 0 {
			s.opts.Schedule.Reach(schedule.FlushPlaced)
		}
		last := min(first+few, len(claims))
		s.installed(claims[first:last], func() {
			for i, c := range claims[first:last] {
				s.installFlushedLocked(c, &results[first+i])
			}
			s.mu.grace.grow(s.counter.bytesFlushed.Load(), uint64(s.opts.MemtableBytes), ids.ForkID(s.nextID.Load()))
			if last == len(claims) {
				s.unpinOutputLocked(out)
			}
		})
	}
}

func (s *Store) pinFiles(files []ids.FileNum) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, num := range files {
		s.mu.tree.PinFile(num)
	}
}

// unpinOutputLocked lets the files of an output go as soon as nothing in them is
// needed. What nobody wanted when it was installed counts as dead from the start.
func (s *Store) unpinOutputLocked(out *compaction.Output) {
	for i, n := range out.FileBytes() {
		s.mu.tree.SetFileBytes(out.Files()[i], n)
	}
	s.unpinFilesLocked(out.Files())
}

func (s *Store) unpinFilesLocked(files []ids.FileNum) {
	for _, num := range files {
		s.mu.tree.UnpinFile(num)
	}
}

func (s *Store) installFlushedLocked(c *forktree.Claim, r *flushed) {
	if r.stuck {
		return
	}
	if !c.Wanted() {
		s.counter.discarded.Add(1)
		return
	}
	s.counter.memoryFlushed.Add(uint64(c.Swap.Mem.Bytes()))
	s.mu.tree.InstallTables(c, s.mu.tree.NewRun(r.metas), r.marks)
	for _, m := range r.metas {
		s.counter.bytesFlushed.Add(m.Length)
	}
	s.counter.flushes.Add(1)
	s.countDeletes(&r.deletes)
}

// flushed is what one node's rows have become.
type flushed struct {
	metas []sstable.Meta
	deletes
	stuck bool
}

// claimMemory claims nodes that are in memory, oldest first, and gives for each a
// view of what lies below it. A node with range deletes has to wait until all below
// it is in tables.
func (s *Store) claimMemory(nodes []*forktree.Node, stuck map[*forktree.Node]error) (claims []*forktree.Claim, below []*view, rest []*forktree.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var total int64
	// Nodes of many forks lie above the same one. A view must be as old as its claim,
	// which learns of what is swapped later, so none outlives a rest.
	shared := map[*forktree.Node]*view{}
	for i, n := range nodes {
		if total > flushJobBytes || len(claims) == flushJobNodes {
			return claims, below, nodes[i:]
		}
		if i%claimsAtOnce == claimsAtOnce-1 {
			s.mu.rest()
			clear(shared)
		}
		if n.Mem == nil || stuck[n] != nil || n.Mem.(*memtable.Memtable).HasRanges() && memoryBelow(n) {
			continue
		}
		c := s.claimLocked([]*forktree.Node{n})
		if c == nil {
			continue
		}
		total += n.Mem.Bytes()
		claims = append(claims, c)
		v := shared[n.Older]
		if v == nil {
			v = s.viewLocked(n.Older, nil)
			shared[n.Older] = v
		} else {
			v.refs.Add(1)
		}
		below = append(below, v)
	}
	return claims, below, nil
}

func memoryBelow(n *forktree.Node) bool {
	for x := range forktree.Path(n.Older) {
		if x.Mem != nil {
			return true
		}
	}
	return false
}

// minReadBudget is what a job may read of older tables' blocks to resolve its
// deletes if it is itself smaller.
const minReadBudget = 1 << 20

func (s *Store) flushNode(mem *memtable.Memtable, below *view, out *compaction.Output, stop func() error) (flushed, error) {
	r := newResolver(below, max(mem.Bytes(), minReadBudget), mem)
	if mem.HasRanges() {
		if err := r.deleteRanges(mem.Spans(memtable.MaxLSN), stop); err != nil {
			return flushed{}, err
		}
	}
	res, err := compaction.Merge([]iterator.Iterator{mem.NewIter(memtable.MaxLSN)}, out, compaction.MergeOptions{
		Gone: r.gone, Stop: stop,
	})
	if err != nil {
		return flushed{}, err
	}
	metas, err := out.EndRun()
	if err != nil {
		return flushed{}, err
	}
	return flushed{metas: metas, deletes: r.deletes(res.TombstonesDropped)}, nil
}

// newOutput begins a job's output. The numbers that a job of any size may need
// before it asks for more are reserved first.
func (s *Store) newOutput() (*compaction.Output, error) {
	if err := s.reserveNumbers(lowNumbers); err != nil {
		return nil, err
	}
	return compaction.NewOutput(s.fs, s.dir, compaction.OutputOptions{
		TableBytes: uint64(s.opts.TableBytes), FileBytes: uint64(s.opts.TableBytes), BlockBytes: s.opts.BlockBytes,
		NextFile: s.newFileNum, NextTable: s.newTableID,
	}), nil
}

// discard removes a failed job's files; what cannot be removed now becomes a
// zombie.
func (s *Store) discard(out *compaction.Output) error {
	err := out.Discard()
	if err != nil {
		s.finishOutput(out, nil)
	}
	return err
}

// diskFull makes every form of a full disk match ErrNoSpace. Nothing was
// published, so the work can be done again once there is space.
func diskFull(err error) error {
	if errs.IsNoSpace(err) && !errors.Is(err, ErrNoSpace) {
		return fmt.Errorf("%w: %w", ErrNoSpace, err)
	}
	return err
}

// finishOutput closes a job's output, which is synced, and makes zombies of the
// files that the install used nothing of.
func (s *Store) finishOutput(out *compaction.Output, used map[ids.FileNum]bool) {
	s.closeOutput(out)
	if s.addZombies(out, used) {
		s.wake()
	}
}

func (s *Store) closeOutput(out *compaction.Output) {
	if err := out.Close(); err != nil {
		s.opts.Logger.Warn("a table file could not be closed", "error", err)
	}
}

func (s *Store) addZombies(out *compaction.Output, used map[ids.FileNum]bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.mu.zombies)
	for _, num := range out.Files() {
		if !used[num] {
			s.mu.zombies = append(s.mu.zombies, zombie{num: num})
		}
	}
	return len(s.mu.zombies) > before
}

// afterSwap makes readers let go of what a swap replaced, and reclaims it.
func (s *Store) afterSwap() error {
	s.sweepViews()
	s.restForks()
	return s.reclaim()
}
