package engine

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
)

// Settle waits until the background work has nothing left to do: merges are at
// rest and the files that nothing needs are unlinked. It forces no flush. It
// returns the error of background work that failed meanwhile.
func (s *Store) Settle() error {
	if s.closed.Load() {
		return ErrClosed
	}
	if s.opts.ReadOnly {
		return nil
	}
	if s.opts.Manual {
		s.jobs.Lock()
		defer s.jobs.Unlock()
		return s.afterSwap()
	}
	return s.settle()
}

func (s *Store) settle() error {
	s.wake()
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	b.urgent++
	defer func() { b.urgent-- }()
	b.lastErr = nil
	for b.memory.pending || b.memory.busy || b.merge.pending || b.merge.busy {
		if b.stopping {
			return ErrClosed
		}
		if b.lastErr != nil {
			return b.lastErr
		}
		b.cond.Wait()
	}
	return b.lastErr
}

// beginJob begins work that the caller's goroutine does itself; one at a time.
func (s *Store) beginJob(what string) (end func(), err error) {
	s.jobs.Lock()
	if err := s.writable(); err != nil {
		s.jobs.Unlock()
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return s.jobs.Unlock, nil
}

// Flush writes everything that is in memory to tables, and lets go of the log
// that it was kept in.
func (s *Store) Flush() error {
	end, err := s.beginJob("flush")
	if err != nil {
		return err
	}
	defer end()
	if err := s.flush(func(*forktree.Fork) bool { return true }); err != nil {
		return err
	}
	if !s.opts.Manual {
		if err := s.settle(); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	return errors.Join(s.afterSwap(), s.trim(), s.rewriteManifest())
}

// Compact merges until there is nothing left to merge, at full speed, and then
// reclaims: at return the table files on disk are exactly those that forks and
// snapshots need, and those that open iterators hold. What is in memory stays
// there.
func (s *Store) Compact() error {
	end, err := s.beginJob("compact")
	if err != nil {
		return err
	}
	defer end()
	for {
		did, err := s.pass(func(compaction.Kind) bool { return true }, s.stopped)
		if err != nil {
			return fmt.Errorf("compact: %w", err)
		}
		if err := s.afterSwap(); err != nil {
			return fmt.Errorf("compact: %w", err)
		}
		if !s.opts.Manual {
			if err := s.settle(); err != nil {
				return fmt.Errorf("compact: %w", err)
			}
		}
		if !did {
			return errors.Join(s.trim(), s.rewriteManifest())
		}
	}
}
