package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/tinedb/tine/internal/ids"
)

// The log is as long as its oldest record that is in no table yet, and one fork that
// wrote a single row and then nothing keeps all that others write behind it. So when
// half of its room is used, every fork's memtable is frozen and all that is in memory
// is written to tables, packed into few files: see flush and adr/0013. Commits that
// find three quarters used are delayed, more and more, and at the bound they wait.

// logRoom is how much the full segments of the log may hold together. The current one
// and a spare stand beside them.
func (s *Store) logRoom() int64 { return s.opts.MaxLogBytes - 2*s.opts.SegmentBytes }

// maxSegments is how many log segments may gather, however little they hold.
const maxSegments = 8

// logTooLong tells whether everything that keeps the log should be flushed: by what it
// holds, or by the room that its segments take, which is more where opens have ended
// many of them early.
func (s *Store) logTooLong() bool {
	bytes, sealed, segments := s.log.Lengths()
	return max(bytes, sealed) > s.logRoom()/2 || segments > maxSegments && bytes < s.opts.SegmentBytes
}

func (s *Store) logFull() bool { return s.log.SealedBytes() >= s.logRoom() }

// maxLogDelay is what a commit is delayed by when the log has all but reached its
// bound.
const maxLogDelay = 2 * time.Millisecond

// waitForLog keeps the log within its bound, but for the batches that are under way: it
// delays a commit, makes it wait while memory is written to tables, or says why that
// does not make the log shorter.
func (s *Store) waitForLog() error {
	if s.opts.Manual {
		return nil
	}
	room := s.logRoom()
	used := s.log.SealedBytes()
	if used < room/4*3 {
		return nil
	}
	s.wake()
	defer s.clock.logWaits.since(time.Now())
	if used < room {
		time.Sleep(maxLogDelay * time.Duration(used-room/4*3) / time.Duration(room/4+1))
		return nil
	}
	s.counter.stalls.Add(1)
	if err := s.waitForTrim(); err != nil || !s.logFull() || s.logIsKept() {
		return err
	}
	if stuck := s.letBeError(); stuck != nil { // likewise
		s.keepLog(stuck)
		return nil
	}
	return fmt.Errorf("the log has reached its bound of %d bytes: %w", s.opts.MaxLogBytes, s.back.whyLogIsKept())
}

var errLogKept = errors.New("what it holds could not be written to tables in time")

// fruitlessTurns is after how many turns of the memory worker that took nothing off
// the log a commit no longer waits. One may be: a turn can miss what comes meanwhile.
const fruitlessTurns = 3

// waitForTrim waits until the log is below its bound or the memory worker has tried
// in vain to make it so.
func (s *Store) waitForTrim() error {
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	begun, first, fruitless := b.memory.begun, s.log.FirstLSN(), 0
	b.memory.pending = true
	b.cond.Broadcast() // the worker may be at rest: that ends when the log is full
	for s.logFull() && !b.logKept && b.flushErr == nil && fruitless < fruitlessTurns {
		switch {
		case b.stopping:
			return ErrClosed
		case s.failure() != nil:
			return s.failure()
		}
		if b.memory.done > begun {
			var now ids.LSN
			if begun, now = b.memory.begun, s.log.FirstLSN(); now == first && !s.logPinned.Load() {
				fruitless++
				continue
			}
			first, fruitless = s.log.FirstLSN(), 0
		}
		if !b.memory.pending && !s.logPinned.Load() { // the one who pins it wakes; and else two that wait would wake each other without end
			b.memory.pending = true
			b.cond.Broadcast()
		}
		b.cond.Wait()
	}
	return nil
}

// whyLogIsKept gives the last failure of what makes the log shorter.
func (b *background) whyLogIsKept() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.flushErr != nil:
		return b.flushErr
	case b.lastErr != nil:
		return b.lastErr
	}
	return errLogKept
}

// keepLog keeps the log from being the reason of a flush, or of waiting, at each write,
// as one node cannot be written: it is damaged, or a bug has struck there. That must
// not stop those who write elsewhere, so the log grows beyond its bound, and the logger
// is told.
func (s *Store) keepLog(stuck error) {
	s.back.mu.Lock()
	defer s.back.mu.Unlock()
	if !s.back.logKept {
		s.opts.Logger.Warn("a node that cannot be written to tables keeps the log long", "error", stuck)
		s.back.pauseLocked(&s.back.logKept, maxRetryDelay)
	}
}

func (s *Store) logIsKept() bool {
	s.back.mu.Lock()
	defer s.back.mu.Unlock()
	return s.back.logKept
}
