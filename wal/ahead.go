package wal

import "github.com/tinedb/tine/internal/invariant"

// aheadBytes is how far ahead of the frames zeros are written at most. An fsync
// that takes them along is 60 us longer, and those of the groups that fit into
// them are each 70 us shorter (ext4 on a fast disk).
const aheadBytes = 128 << 10

// blockBytes is what a file system allocates at least.
const blockBytes = 4 << 10

// zeroAheadLocked writes zeros behind the frames, where the file is zero already,
// ahead of small groups that will each be fsynced. The first write to space that
// is only preallocated turns it into space that holds something, and fdatasync has
// to commit that to the file system's journal, whether the write was of a hundred
// bytes or of a hundred thousand. Nobody can tell the file from one that was never
// touched there: frames are valid by their checksums alone.
//
// The caller has set writing, and fsyncs. It unlocks for the I/O. If that fails,
// the log is poisoned, writing is reset and the result is false.
func (l *Log) zeroAheadLocked() bool {
	invariant.Check(l.writing.Load(), "wal: zeros are written ahead beside another write")
	s := l.cur
	end := s.aheadEnd()
	if end <= s.pos {
		return true
	}
	l.mu.Unlock()
	err := s.write(zeros[:end-s.pos], s.pos)
	l.mu.Lock()
	if err != nil {
		l.writing.Store(false)
		l.reportLocked(l.failLocked(err))
		l.wakeLocked()
		return false
	}
	s.zeroed = end
	return true
}

// aheadEnd is up to where zeros should be written behind the frames; nothing
// behind s.pos if none are needed. As far as the segment has come, so far it is
// likely to go on: who writes little is not made to write much. If much was
// written since the last fsync, or without any, the next groups are large as well
// and gain nothing. A sector that holds durable bytes is left alone.
func (s *segment) aheadEnd() int64 {
	if s.nextSector || s.pos <= s.zeroed || s.pos-s.synced > aheadBytes/2 {
		return 0
	}
	end := (s.pos + min(s.pos, aheadBytes)) &^ (blockBytes - 1)
	return min(end, s.fileBytes)
}
