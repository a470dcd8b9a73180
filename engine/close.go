package engine

import (
	"errors"

	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/manifest"
)

// Close ends the store: it stops background work, makes every acknowledged write
// durable, and gives the directory free. What is in memory is not flushed; it
// comes back from the log. Handles and iterators that are still open return
// ErrClosed from now on. Close may be called more than once.
func (s *Store) Close() error {
	s.closing.Lock() // a second Close returns when the first is done
	defer s.closing.Unlock()
	s.mu.Lock()
	already := s.closed.Swap(true)
	s.mu.Unlock()
	if already {
		return nil
	}
	s.opts.Schedule.Reach(schedule.CloseBegun)
	s.stopBackground()
	s.mu.unclaimed.Broadcast()
	s.backups.Lock() // a Backup gives up and ends
	defer s.backups.Unlock()
	s.jobs.Lock() // a Flush or Compact in another goroutine gives up and ends
	defer s.jobs.Unlock()
	s.opts.Schedule.Reach(schedule.CloseStopped)

	if s.mu.failed() == nil {
		s.forgetViews()
	}

	var err error
	if !s.opts.ReadOnly {
		err = s.closeLogs()
	}
	err = errors.Join(err, s.tables.Close())
	s.opts.Schedule.Reach(schedule.CloseEnding)
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
	}
	return err
}

func (s *Store) forgetViews() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for r := range s.mu.viewed {
		s.forgetViewLocked(r)
	}
}

// closeLogs brings the manifest up to date, so that the next open replays no more
// than it must, and closes both logs, the write-ahead log first: the manifest is
// never ahead of it.
func (s *Store) closeLogs() error {
	var err error
	if s.failure() == nil {
		err = s.reclaim()
		err = errors.Join(err, s.writeError("close", s.man.Sync(s.publish())))
	} else {
		err = s.failure()
	}
	return errors.Join(err, s.writeError("close", s.log.Close()), s.writeError("close", s.man.Close()))
}

func (s *Store) publish() manifest.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.publishLocked()
}
