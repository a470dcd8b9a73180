package engine

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/manifest"
)

// nodesReleased is how many nodes are taken apart under the lock at a time,
// slicesPublished after how many times that is given its place in the manifest, which
// is one hold of the lock too, and slicesSynced after how many times it is written. What
// is written at once must fit into the space that the manifest holds ready for a full
// disk, also after a drop of thousands of forks.
const (
	nodesReleased   = 256
	slicesPublished = 2
	slicesSynced    = 8
)

// publishLocked builds the manifest transaction that brings the manifest up to
// the tree's present and gives it its place, in one step with whatever the caller
// has just installed. The manifest's log writes it only when the write-ahead log
// is durable through the newest record there is: that covers the records that
// froze the nodes it holds and every fork, drop, reset, rename and snapshot whose
// effect it contains. Installing before the transaction is durable is safe,
// because a swap changes no content; only unlinking and trimming wait for it.
func (s *Store) publishLocked() manifest.Position {
	tx := s.mu.tree.TakeTransaction()
	files, tables := s.mu.tree.TakeObsolete()
	c := s.countersLocked()
	c.Applied = s.mu.newest
	tx.Counters = &c
	at := s.man.Append(tx, s.mu.newest)
	for _, num := range files {
		s.mu.zombies = append(s.mu.zombies, zombie{num: num, at: at})
	}
	for _, t := range tables {
		s.tables.Forget(&t.Meta)
	}
	s.countMemoryLocked()
	return at
}

// forksForManifest gives the manifest's log forks for a rewrite. The tree may be ahead
// of what was published: that is made good in the same critical section, so that no
// fork gets into a manifest before the log through which it has to be durable is known.
func (s *Store) forksForManifest(after ids.ForkID, limit int) ([]manifest.Fork, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mu.failed(); err != nil {
		return nil, err
	}
	if s.mu.tree.OwesForks() {
		s.publishLocked()
	}
	forks := s.mu.tree.ForksByID(after, limit)
	if invariant.Expensive {
		s.man.View(func(st *manifest.State) {
			invariant.Check(slices.Equal(forks, st.Forks.After(after, limit)), "the manifest has other forks behind %d than the tree", after)
		})
	}
	return forks, nil
}

// reclaim takes unreferenced nodes apart, publishes what is owed, and unlinks the
// files that nothing needs any more. It does I/O and must not be called under
// the lock.
func (s *Store) reclaim() error {
	rest := s.pace()
	for slice := 1; ; slice++ {
		released, more := s.releaseSlice()
		if released { // a branch point may be gone: there may be something to merge
			s.counter.installs.Add(1)
			s.wake()
		}
		if !more {
			return s.publishReleased()
		}
		switch {
		case slice%slicesSynced == 0:
			if err := s.publishReleased(); err != nil {
				return err
			}
		case slice%slicesPublished == 0:
			s.publishOwing()
		}
		rest()
	}
}

func (s *Store) publishReleased() error {
	if !s.publishOwing() {
		return nil
	}
	s.opts.Schedule.Reach(schedule.ReclaimSyncing)
	if err := s.man.Sync(s.man.Last()); err != nil {
		return s.writeError("publish", err)
	}
	return s.unlinkZombies()
}

// releaseSlice takes some nodes apart that nothing refers to. It tells whether
// there were any, and whether there may be more.
func (s *Store) releaseSlice() (released, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.mu.tree.NodeCount()
	more = s.mu.tree.Release(nodesReleased)
	return s.mu.tree.NodeCount() < before, more
}

// publishOwing publishes what is owed and tells whether there are files to unlink.
func (s *Store) publishOwing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.tree.Owes() {
		s.publishLocked()
	}
	s.countMemoryLocked()
	return len(s.mu.zombies) > 0
}

func (s *Store) unlinkZombies() error {
	durable := s.man.Durable()
	var ready []zombie
	s.mu.Lock()
	durable = s.pinnedLocked(durable)
	rest := s.mu.zombies[:0]
	for _, z := range s.mu.zombies {
		if z.at <= durable {
			ready = append(ready, z)
		} else {
			rest = append(rest, z)
		}
	}
	s.mu.zombies = rest
	s.mu.Unlock()

	if len(ready) > 0 {
		s.opts.Schedule.Reach(schedule.ReclaimPicked)
	}
	var failed error
	for i, z := range ready {
		if err := s.unlink(z); err != nil {
			failed = errors.Join(failed, err)
			s.mu.Lock()
			s.mu.zombies = append(s.mu.zombies, ready[i])
			s.mu.Unlock()
		}
	}
	return failed
}

// unlink removes a table file. The conditions are asserted again, here where it
// happens: no live file is ever unlinked (invariant 6).
func (s *Store) unlink(z zombie) error {
	s.assertUnneeded(z)
	s.tables.ForgetFile(z.num)
	s.opts.Schedule.Reach(schedule.ReclaimUnlinking)
	err := s.fs.Remove(path.Join(s.dir, ids.TableFileName(z.num)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A reader that had asked for the place of a table before it was relocated may have
	// opened the file again: its space would stay as long as the descriptor.
	s.tables.ForgetFile(z.num)
	s.counter.filesRemoved.Add(1)
	s.counter.installs.Add(1)
	return nil
}

func (s *Store) assertUnneeded(z zombie) {
	s.mu.Lock()
	defer s.mu.Unlock()
	invariant.Check(!s.mu.tree.HasFile(z.num), "file %d is unlinked while a table of it is held", z.num)
	invariant.Check(z.at <= s.man.Durable(), "file %d is unlinked before the manifest is durable", z.num)
	if invariant.Expensive {
		s.man.View(func(st *manifest.State) {
			for id, t := range st.Tables {
				invariant.Check(t.File != z.num, "file %d is unlinked while the manifest names its table %d", z.num, id)
			}
		})
	}
}

// trim lets go of log segments whose every record is in tables, or was discarded,
// and whose structural records the manifest holds.
func (s *Store) trim() error {
	low, at, ok := s.publishTrim()
	if !ok {
		return nil
	}
	s.opts.Schedule.Reach(schedule.TrimPlaced)
	if err := s.man.Sync(at); err != nil {
		return s.writeError("trim the log", err)
	}
	_, err := s.log.Trim(low)
	return s.writeError("trim the log", err)
}

// publishTrim says from which LSN on the log is needed, in the manifest too, and
// tells whether segments of the log can go when that is durable.
func (s *Store) publishTrim() (low ids.LSN, at manifest.Position, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	low = s.mu.tree.LowLSN(s.mu.newest+1, s.mu.rest)
	if s.mu.logPins > 0 || !s.log.Trimmable(low) {
		return 0, 0, false
	}
	at = s.man.Last()
	if low > s.mu.trimmed { // else it was published before, and the trim failed
		s.mu.trimmed = low
		at = s.publishLocked()
	}
	return low, at, true
}

// install runs fn, which installs results in the tree, and publishes it in the
// same critical section; then it gives the claims back. The transaction's fsync
// follows outside.
func (s *Store) install(claims []*forktree.Claim, placed schedule.Point, fn func()) error {
	s.installed(claims, fn)
	return s.afterInstall(placed)
}

// afterInstall makes what was installed durable.
func (s *Store) afterInstall(placed schedule.Point) error {
	s.opts.Schedule.Reach(placed)
	s.wake()
	return s.writeError("publish", s.man.Sync(s.man.Last()))
}

func (s *Store) installed(claims []*forktree.Claim, fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
	s.counter.installs.Add(1)
	s.publishLocked()
	for _, c := range claims {
		s.unclaimLocked(c)
	}
}

// claimLocked claims a range. It gives nil if another job is in the way, or if an
// assertion has failed about a node of the range.
func (s *Store) claimLocked(rng []*forktree.Node) *forktree.Claim {
	for _, n := range rng {
		if s.mu.letBe[n.ID] != nil {
			return nil
		}
	}
	c := s.mu.tree.Claim(rng)
	if c != nil {
		s.mu.claims[c] = struct{}{}
	}
	return c
}

func (s *Store) unclaimLocked(c *forktree.Claim) {
	s.mu.tree.Unclaim(c)
	delete(s.mu.claims, c)
	s.mu.unclaimed.Broadcast()
}

func (s *Store) unclaim(claims ...*forktree.Claim) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range claims {
		s.unclaimLocked(c)
	}
}
