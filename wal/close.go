package wal

import "fmt"

// Close makes everything appended durable, leaves a durable sync mark behind
// it where the segment has room for one, removes the spare segments, closes the
// files and stops the log's goroutine. Calls that run meanwhile end first or get ErrClosed. It returns
// what poisoned the log, if anything; nothing is written then. A second Close
// does nothing.
func (l *Log) Close() error {
	l.keep.end()
	l.grow.Lock()
	defer l.grow.Unlock()
	l.mu.Lock()
	err := l.closeLocked()
	l.mu.Unlock()
	return err
}

func (l *Log) closeLocked() error {
	for !l.closed && l.err == nil && (l.writing.Load() || l.syncing || l.Durable() < l.appended) {
		if l.writing.Load() || l.syncing {
			l.syncDone.Wait()
		} else {
			l.leadSyncLocked()
		}
	}
	if l.closed {
		return nil
	}
	l.closed = true
	l.unhealthy.Store(true)
	l.markEndLocked()
	for l.writing.Load() || l.syncing { // on a poisoned log they may still run
		l.syncDone.Wait()
	}
	for _, s := range append(l.room.spares, l.room.largeSegments...) {
		if l.err == nil {
			s.discard(l.fs, l.dir)
		} else {
			_ = s.file.Close()
		}
	}
	l.room.spares, l.room.largeSegments = nil, nil
	closeErr := l.cur.file.Close()
	l.wakeLocked()
	if l.err != nil {
		return fmt.Errorf("wal: close: %w", l.err)
	}
	if closeErr != nil {
		return fmt.Errorf("wal: close segment: %w", closeErr)
	}
	return nil
}

// markEndLocked leaves a durable mark behind the last record, if there is none and
// one may stand there.
func (l *Log) markEndLocked() {
	s := l.cur
	mark := s.claimed < s.synced && s.hasRoomForMark()
	if l.err != nil || !mark && s.pos == s.synced {
		return
	}
	l.writing.Store(true)
	l.mu.Unlock()
	var err error
	if mark {
		err = l.writeMark(s)
	}
	if err == nil {
		err = s.sync()
	}
	l.mu.Lock()
	l.writing.Store(false)
	if err != nil {
		l.reportLocked(l.failLocked(err))
	}
}
