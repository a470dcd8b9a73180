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
// is written to tables, packed into few files: see flush and adr/0013. Who writes so much
// that this does not come after is held back: delayed, more and more, and a little below
// the bound made to wait. The rest of the room is for the others, who wait at the bound.

// logRoom is how much the full segments of the log may hold together. The current one
// and two spares stand beside them.
func (s *Store) logRoom() int64 { return s.opts.MaxLogBytes - segmentsBeside*s.opts.SegmentBytes }

const segmentsBeside = 3

// maxSegments is how many log segments may gather, however little they hold.
const maxSegments = 8

// logTooLong tells whether everything that keeps the log should be flushed: by what it
// holds, or by the room that its segments take, which is more where opens have ended
// many of them early.
func (s *Store) logTooLong() bool {
	bytes, sealed, segments := s.log.Lengths()
	return max(bytes, sealed) > s.logRoom()/2 || segments > maxSegments && bytes < s.opts.SegmentBytes
}

// logFull tells whether the log is so long that some writers wait.
func (s *Store) logFull() bool { return s.log.SealedBytes() >= s.logLimit(false) }

// logLimit is how long the full segments are when a writer waits. Those who do not write
// little leave an eighth of the room to those who do, a segment at least.
func (s *Store) logLimit(little bool) int64 {
	room := s.logRoom()
	if !little {
		room -= max(room/8, s.opts.SegmentBytes)
	}
	return room
}

// keptBounds is how many times its bound the log may be long, the last segments not
// counted, while a node that cannot be written to tables keeps it.
const keptBounds = 2

func (s *Store) logOverrun() bool { return s.log.SealedBytes() >= keptBounds*s.opts.MaxLogBytes }

// maxLogDelay is what a commit is delayed by when it all but has to wait.
const maxLogDelay = 2 * time.Millisecond

// waitForLog keeps the log within its bound, but for the batches that are under way: it
// delays a commit, makes it wait while memory is written to tables, or says why that
// does not make the log shorter. The log gets long by what is in memory, so who writes
// little is told as for memory, see throttle; without parts, it is a record of a few bytes.
func (s *Store) waitForLog(parts []batchPart) error {
	if s.opts.Manual {
		return nil
	}
	used, much := s.log.SealedBytes(), s.logLimit(false)
	from := much / 4 * 3
	if used < from {
		return nil
	}
	s.wake()
	little := len(parts) == 0 || s.debt(parts).little(s.opts.MemtableBytes)
	limit := s.logLimit(little)
	switch {
	case used >= limit:
		defer s.clock.logWaits.since(time.Now())
		return s.waitForTrim(limit)
	case !little:
		defer s.clock.logWaits.since(time.Now())
		time.Sleep(maxLogDelay * time.Duration(used-from) / time.Duration(much-from+1))
	}
	return nil
}

// waitForTrim waits until the log is below the limit, or says why it stays longer. While
// a single node keeps it, it may: that must not stop those who write elsewhere. But
// not without a bound.
func (s *Store) waitForTrim(limit int64) error {
	if s.logKeptBy() == nil {
		s.counter.stalls.Add(1)
		if short, err := s.waitForTurns(limit); short || err != nil {
			return err
		}
		if stuck := s.letBeError(); stuck != nil {
			s.keepLog(stuck)
		}
	}
	switch stuck := s.logKeptBy(); {
	case stuck == nil:
		return fmt.Errorf("the log has reached its bound of %d bytes: %w", s.opts.MaxLogBytes, s.back.whyLogIsKept())
	case s.logOverrun():
		return fmt.Errorf("the log has reached %d times its bound of %d bytes, and stays so while there are forks with a node that cannot be written to tables: %w",
			keptBounds, s.opts.MaxLogBytes, stuck)
	}
	return nil
}

var errLogKept = errors.New("what it holds could not be written to tables in time")

// fruitlessTurns is after how many turns of the memory worker that took nothing off
// the log a commit no longer waits. One may be: a turn can miss what comes meanwhile.
const fruitlessTurns = 3

// waitForTurns waits until the log is below the limit or the memory worker has tried
// in vain to make it so, and tells whether it was below. It may be above again by now, by
// what others wrote: that is no failure.
func (s *Store) waitForTurns(limit int64) (short bool, err error) {
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	begun, first, fruitless := b.memory.begun, s.log.FirstLSN(), 0
	b.memory.pending = true
	b.cond.Broadcast() // the worker may be at rest: that ends when the log is full
	for s.log.SealedBytes() >= limit {
		switch {
		case b.logKeptBy != nil || b.flushErr != nil || fruitless == fruitlessTurns:
			return false, nil
		case b.stopping:
			return false, ErrClosed
		case s.failure() != nil:
			return false, s.failure()
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
	return true, nil
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
	b := &s.back
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.logKeptBy == nil {
		s.opts.Logger.Warn("a node that cannot be written to tables keeps the log long", "error", stuck)
		b.logKeptBy = stuck
		b.afterLocked(maxRetryDelay, func() { b.logKeptBy = nil })
	}
}

// logKeptBy is what keepLog was told, for a while.
func (s *Store) logKeptBy() error {
	s.back.mu.Lock()
	defer s.back.mu.Unlock()
	return s.back.logKeptBy
}
