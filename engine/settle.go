package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/tinedb/tine/compaction"
	"github.com/tinedb/tine/forktree"
)

// Settle waits until the background work has nothing left to do: merges are at
// rest and the files that nothing needs are unlinked. It forces no flush. Where
// others go on writing and forking there is always something to do; then it returns
// after a while all the same. It returns the error of background work that failed
// meanwhile.
func (s *Store) Settle() error { return s.SettleContext(context.Background()) }

// SettleContext is Settle, but waits no longer than until ctx ends: then it returns
// the context's error, and the background work goes on.
func (s *Store) SettleContext(ctx context.Context) (err error) {
	defer s.contain(&err)
	if s.closed.Load() {
		return ErrClosed
	}
	if s.opts.ReadOnly {
		return nil
	}
	if s.opts.Manual {
		if err := s.jobs.LockUntil(ctx); err != nil {
			return fmt.Errorf("settle: %w", err)
		}
		defer s.jobs.Unlock()
		if err := s.mu.failed(); err != nil {
			return err
		}
		return s.afterSwap()
	}
	return s.settle(ctx)
}

// Where others keep making work, waiting for none to be left is bounded: by the
// turns of the workers that Settle waits for, and by the passes of Compact. Alone,
// a store is at rest after two or three.
const (
	settleRounds  = 16
	compactPasses = 8
)

// settle waits until both workers have taken a turn that began after the call and
// found nothing to install, or ctx ends.
func (s *Store) settle(ctx context.Context) error {
	defer s.wakeForWeaves()
	b := &s.back
	defer context.AfterFunc(ctx, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.cond.Broadcast()
	})()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.urgent++
	defer func() { b.urgent-- }()
	failures := b.failures
	for range settleRounds {
		installed := s.counter.installs.Load()
		memory, merge := b.memory.begun, b.merge.begun
		b.memory.pending, b.merge.pending = true, true
		b.cond.Broadcast()
		for b.memory.done <= memory || b.merge.done <= merge {
			if b.stopping {
				return ErrClosed
			}
			if b.failures != failures {
				return b.lastErr
			}
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("settle: %w", err)
			}
			b.cond.Wait()
		}
		if b.failures != failures {
			return b.lastErr
		}
		if s.counter.installs.Load() == installed {
			return nil
		}
	}
	return nil
}

// beginJob begins work that the caller's goroutine does itself; one at a time.
func (s *Store) beginJob(ctx context.Context, what string) (end func(), err error) {
	if err := s.jobs.LockUntil(ctx); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if err := s.writable(); err != nil {
		s.jobs.Unlock()
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return s.jobs.Unlock, nil
}

// Flush writes everything that is in memory to tables, and lets go of the log
// that it was kept in.
func (s *Store) Flush() error { return s.FlushContext(context.Background()) }

// FlushContext is Flush, but begins to write no more tables once ctx has ended: then
// it returns the context's error, and what is still in memory stays there, and in the
// log.
func (s *Store) FlushContext(ctx context.Context) (err error) {
	defer s.contain(&err)
	end, err := s.beginJob(ctx, "flush")
	if err != nil {
		return err
	}
	defer end()
	if err := s.flushUntil(ctx, func(*forktree.Fork) bool { return true }); err != nil {
		return err
	}
	return errors.Join(s.letBeError(), s.afterSwap(), s.trim(), s.rewriteManifest())
}

// Compact merges until there is nothing left to merge, at full speed, and then
// reclaims: at return the table files on disk are exactly those that forks and
// snapshots need, and those that open iterators and backups hold. What is in memory stays
// there.
func (s *Store) Compact() error { return s.CompactContext(context.Background()) }

// CompactContext is Compact, but gives up once ctx has ended, a merge that it is at
// included: then it returns the context's error. What it has merged stays so.
func (s *Store) CompactContext(ctx context.Context) (err error) {
	defer s.contain(&err)
	end, err := s.beginJob(ctx, "compact")
	if err != nil {
		return err
	}
	defer end()
	stop := s.stopOf(ctx)
	for range compactPasses {
		// What a drop has freed goes first: it decides what can be merged.
		if err := s.afterSwap(); err != nil {
			return fmt.Errorf("compact: %w", err)
		}
		did, err := s.pass(nil, func(compaction.Kind) bool { return true }, stop)
		tidied, untidied := s.tidy(stop)
		did, err = did || tidied, errors.Join(err, untidied)
		if err != nil { // of one path; what merges of others have replaced goes all the same
			return fmt.Errorf("compact: %w", errors.Join(err, s.afterSwap()))
		}
		if !s.opts.Manual { // a worker may hold a claim on what is left to merge
			if err := s.settle(ctx); err != nil {
				return fmt.Errorf("compact: %w", err)
			}
		}
		if !did {
			break
		}
	}
	return errors.Join(s.afterSwap(), s.trim(), s.rewriteManifest())
}

// stopOf makes a stop function that stops when ctx has ended, too.
func (s *Store) stopOf(ctx context.Context) func() error {
	return func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return s.stopped()
	}
}
