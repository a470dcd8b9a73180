package wal

import (
	"sync"
	"time"
)

// keptSpares is how many spare segments the keeper holds ready: one for the
// next rotation and the one that is left to privileged records.
const keptSpares = 2

// syncBehindBytes is how much may be written and not fsynced before the keeper
// fsyncs it. Without that, a log to which nobody calls Sync stops at each
// rotation for as long as the disk takes for a whole segment (measured: 32 ms
// of every 40).
const syncBehindBytes = 2 << 20

// keeper is the log's goroutine. It writes a sync mark when the log goes idle,
// makes the spare segments before somebody has to wait for one, and fsyncs what
// piles up before a rotation has to. It only saves time and narrows windows: a log without it is as correct. The Log owns
// it; Close stops it and waits.
type keeper struct {
	kicks chan struct{} // something became durable, a segment was begun, or much was written; nil without a keeper
	stop  chan struct{}
	once  sync.Once
	done  sync.WaitGroup
}

// start starts the keeper, unless the log is to have none.
func (k *keeper) start(l *Log) bool {
	if l.opts.MarkDelay < 0 {
		return false
	}
	k.kicks, k.stop = make(chan struct{}, 1), make(chan struct{})
	k.done.Add(1)
	go k.run(l)
	k.kick()
	return true
}

// kick wakes the keeper. It never waits.
func (k *keeper) kick() {
	select {
	case k.kicks <- struct{}{}:
	default: // no keeper (nil channel), or it has a kick to come
	}
}

// end stops the keeper and waits until it is gone.
func (k *keeper) end() {
	if k.stop == nil {
		return
	}
	k.once.Do(func() { close(k.stop) })
	k.done.Wait()
}

func (k *keeper) run(l *Log) {
	defer k.done.Done()
	idle := time.NewTimer(l.opts.MarkDelay)
	defer idle.Stop()
	for {
		select {
		case <-k.stop:
			return
		case <-k.kicks:
			l.fillSpares()
			l.syncBehind()
			idle.Reset(l.opts.MarkDelay)
		case <-idle.C:
			if !l.markIdle() {
				idle.Reset(l.opts.MarkDelay)
			}
		}
	}
}

// fillSpares creates the spare segments that are missing. If it cannot, the
// next Reserve that needs one says why.
func (l *Log) fillSpares() {
	for {
		l.grow.Lock()
		l.mu.Lock()
		enough := l.usableLocked() != nil || len(l.room.spares) >= keptSpares
		l.mu.Unlock()
		if enough {
			l.grow.Unlock()
			return
		}
		s, err := createSegment(l.fs, l.dir, l.opts.NextFile, l.opts.SegmentBytes)
		if err == nil {
			l.mu.Lock()
			l.room.spares = append(l.room.spares, s)
			l.mu.Unlock()
		}
		l.grow.Unlock()
		if err != nil {
			l.failIfDirectory(err)
			return
		}
	}
}

// syncBehind fsyncs if much is written and not durable. An error has poisoned
// the log and reaches those who wait.
func (l *Log) syncBehind() {
	l.mu.Lock()
	if l.usableLocked() == nil && l.cur.behind() && !l.syncing {
		_ = l.syncLocked(l.Written())
	}
	l.mu.Unlock()
}

// behind tells whether much of the segment is written and not durable.
func (s *segment) behind() bool { return s.pos-s.synced >= syncBehindBytes }

// markIdle writes a sync mark if something became durable that none claims yet.
// It is not fsynced: if it is lost, a torn tail and damage cannot be told apart
// there, and nothing else.
//
// It is false if the log is busy.
func (l *Log) markIdle() bool {
	l.mu.Lock()
	done := l.markIdleLocked()
	l.mu.Unlock()
	return done
}

func (l *Log) markIdleLocked() bool {
	s := l.cur
	if l.usableLocked() != nil || s.claimed >= s.synced || !s.hasRoomForMark() {
		return true
	}
	if l.writing.Load() || l.syncing || len(l.pending.buf) > 0 {
		return false
	}
	l.writing.Store(true)
	l.mu.Unlock()
	err := l.writeMark(s)
	l.mu.Lock()
	l.writing.Store(false)
	if err != nil {
		l.reportLocked(l.failLocked(err))
	}
	l.wakeLocked()
	return true
}

// writeMark writes a sync mark of everything durable behind the last frame of
// s, which has room for it. The caller has set writing, or is alone.
func (l *Log) writeMark(s *segment) error {
	l.mu.Lock()
	m, lsn, at := mark{through: s.synced, previous: s.pos}, s.syncedLSN, alignSector(s.pos)
	l.mu.Unlock()
	var buf [markFrameBytes]byte
	putMark(buf[:], s.place(l.id, at), m, lsn)
	if err := s.write(buf[:], at); err != nil {
		return err
	}
	l.mu.Lock()
	s.pos = at + markFrameBytes
	s.claimed, s.nextSector = m.through, false
	l.mu.Unlock()
	return nil
}
