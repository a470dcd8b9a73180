package wal

import (
	"encoding/binary"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/spin"
)

// Write returns once the operating system has every record through lsn: they
// survive a killed process, but not a power loss. Whoever finds no write
// running hands over all that is appended, in one call a segment; the others
// wait for that. It does not wait for a running fsync. Errors: ErrPoisoned,
// with ErrIndeterminate if the record was in a failed group; ErrClosed.
func (l *Log) Write(lsn ids.LSN) error {
	if lsn > l.Written() && l.writing.Load() { // most often for a microsecond, see internal/spin
		spin.Patiently(func() bool { return !l.writing.Load() || lsn <= l.Written() })
	}
	if lsn <= l.Written() && !l.unhealthy.Load() {
		return nil
	}
	l.lockFor(lsn)
	err := l.writeLocked(lsn)
	l.mu.Unlock() // not deferred: a panic may come while the lock is given up
	return err
}

// lockFor takes the lock for a caller that waits for lsn: nobody would ever
// wake one that waits for a record which was not appended.
func (l *Log) lockFor(lsn ids.LSN) {
	l.mu.Lock()
	if appended := l.appended; lsn > appended {
		l.mu.Unlock()
		invariant.Check(false, "wal: commit of LSN %d, the last appended is %d", lsn, appended)
	}
}

func (l *Log) writeLocked(lsn ids.LSN) error {
	for {
		if err := l.errorLocked(lsn); err != nil {
			return err
		}
		if lsn <= l.Written() {
			return nil
		}
		// Those who wait to lead an fsync go first: they write for everybody, and
		// a stream of Write calls must not starve them.
		if !l.writing.Load() && (l.syncing || l.syncers == 0) {
			l.writing.Store(true)
			if l.writePendingLocked() {
				l.writing.Store(false)
				l.wakeLocked()
			}
			continue
		}
		l.writeDone.Wait()
	}
}

// Sync returns once every record through lsn is durable. Whoever finds neither
// a write nor an fsync running writes all that is appended and fsyncs for
// everybody who waits; those who come meanwhile are served by the next one.
// Errors are those of Write.
func (l *Log) Sync(lsn ids.LSN) error {
	if lsn <= l.Durable() {
		return nil
	}
	l.lockFor(lsn)
	err := l.syncLocked(lsn)
	l.mu.Unlock()
	return err
}

func (l *Log) syncLocked(lsn ids.LSN) error {
	for {
		if err := l.errorLocked(lsn); err != nil || lsn <= l.Durable() {
			if l.syncers == 0 {
				l.writeDone.Broadcast() // they may have stepped back for this one
			}
			return err
		}
		if !l.writing.Load() && !l.syncing {
			l.leadSyncLocked()
			continue
		}
		l.syncers++
		l.syncDone.Wait()
		l.syncers--
	}
}

// leadSyncLocked writes everything that is appended and makes it durable. It
// unlocks for the I/O. From the start of the fsync on, new writes begin a new
// sector: the disk may garble one that it is made to rewrite.
func (l *Log) leadSyncLocked() {
	l.writing.Store(true)
	if !l.writePendingLocked() || !l.zeroAheadLocked() {
		return
	}
	l.syncing = true
	l.writing.Store(false)
	s, end, last := l.cur, l.cur.pos, l.lastRecord
	s.nextSector = true
	l.promised.Store(end)
	l.writeDone.Broadcast()
	l.mu.Unlock()
	l.opts.Schedule.Reach(schedule.LogSyncing)
	err := s.sync()
	l.opts.Schedule.Reach(schedule.LogSynced)
	l.promised.Store(0)
	l.mu.Lock()
	l.syncing = false
	if err != nil {
		l.reportLocked(l.failLocked(err))
		l.wakeLocked()
		return
	}
	l.durableLocked(s, end, last)
	l.wakeLocked()
	l.keep.kick()
}

// durableLocked notes that segment s is durable below end, which is through LSN
// last. After a failure no fsync proves anything any more.
func (l *Log) durableLocked(s *segment, end int64, last ids.LSN) {
	if l.err != nil {
		return
	}
	invariant.Check(last <= l.Written() && l.Written() <= l.attempted && l.attempted <= l.appended,
		"wal: durable %d, written %d, attempted %d, appended %d", last, l.Written(), l.attempted, l.appended)
	invariant.Check(last >= s.syncedLSN && end >= s.synced, "wal: durable LSN falls from %d to %d, offset from %d to %d", s.syncedLSN, last, s.synced, end)
	s.synced, s.syncedLSN = end, last
	l.durable.Store(max(l.durable.Load(), uint64(last)))
}

// reportLocked makes the OnFailure call without the lock.
func (l *Log) reportLocked(notify func()) {
	if notify == nil {
		return
	}
	l.mu.Unlock()
	notify()
	l.mu.Lock()
}

// writePendingLocked takes everything appended and hands it to the operating
// system. The caller has set writing. It unlocks for the I/O. If that fails,
// the log is poisoned, writing is reset and the result is false.
func (l *Log) writePendingLocked() bool {
	if l.err == nil && len(l.pending.buf) > 0 {
		g := l.pending
		l.pending = group{}
		l.attempted = g.last
		l.room.take()
		l.mu.Unlock()
		l.opts.Schedule.Reach(schedule.LogWriting)
		err := l.writeGroup(g.buf)
		l.mu.Lock()
		if err != nil {
			l.writing.Store(false)
			l.reportLocked(l.failLocked(err))
			l.wakeLocked()
			return false
		}
		if cap(g.buf) <= keptBufferBytes && l.spareBuf == nil {
			l.spareBuf = g.buf[:0]
		}
	}
	if l.err != nil {
		l.writing.Store(false)
		l.wakeLocked()
		return false
	}
	return true
}

// writeGroup gives each frame of buf its place and checksum and writes them:
// one write for each segment the group touches. buf begins with room for a sync
// mark; the parts for later segments put their mark over what is written
// already. Only the goroutine that has set writing calls it.
func (l *Log) writeGroup(buf []byte) error {
	for from := markFrameBytes; from < len(buf); {
		s := l.cur
		l.mu.Lock()
		at, marked := s.start()
		m := mark{through: s.synced, previous: s.pos}
		markLSN := s.syncedLSN
		l.mu.Unlock()
		end := at
		if marked {
			end += markFrameBytes
		}
		c := l.layOut(s, buf[from:], end)
		if c.bytes == 0 {
			if err := l.rotate(buf[from:]); err != nil {
				return err
			}
			continue
		}
		lo := from
		if marked {
			lo -= markFrameBytes
			putMark(buf[lo:], s.place(l.id, at), m, markLSN)
		}
		if err := s.write(buf[lo:from+c.bytes], at); err != nil {
			return err
		}
		l.mu.Lock()
		s.pos = end + int64(c.bytes)
		if marked {
			s.claimed, s.nextSector = m.through, false
		}
		if s.behind() {
			l.keep.kick()
		}
		l.room.takenBytes -= c.ordinaryBytes
		l.room.largeWanted -= c.large
		l.lastRecord = c.last
		if l.err == nil {
			l.written.Store(uint64(c.last))
		}
		l.mu.Unlock()
		from += c.bytes
	}
	return nil
}

// chunk is the part of a group that goes into one segment.
type chunk struct {
	bytes         int
	ordinaryBytes int64 // of the frames that are not large
	large         int   // how many are
	last          ids.LSN
}

// layOut seals as many frames of buf as go into segment s from offset at on. A
// large frame is the first record of a segment of its own or none.
func (l *Log) layOut(s *segment, buf []byte, at int64) chunk {
	var c chunk
	fresh := s.pos == headerBytes
	for c.bytes < len(buf) {
		frame := buf[c.bytes:]
		n := frameBytes(int(binary.LittleEndian.Uint32(frame[frameLength:])))
		large := l.room.isLarge(n)
		if !s.fits(at, n) || large && !(fresh && c.bytes == 0) {
			break
		}
		frame = frame[:n]
		s.place(l.id, at).seal(frame)
		c.last = ids.LSN(binary.LittleEndian.Uint64(frame[frameLSN:]))
		c.bytes += int(n)
		at += n
		if large {
			c.large++
		} else {
			c.ordinaryBytes += n
		}
	}
	return c
}

// rotate seals the current segment and goes on in a spare one: everything
// written becomes durable, then the spare gets the header that says where the
// old segment ends, and only when that is durable too may records follow. frame
// is the first one of the new segment.
func (l *Log) rotate(frame []byte) error {
	n := frameBytes(int(binary.LittleEndian.Uint32(frame[frameLength:])))
	l.mu.Lock()
	for l.syncing {
		l.syncDone.Wait()
	}
	if l.err != nil {
		l.mu.Unlock()
		return l.err
	}
	l.syncing = true
	old, next, last := l.cur, l.room.next(n), l.lastRecord
	l.mu.Unlock()
	l.opts.Schedule.Reach(schedule.LogRotating)

	var err error
	if old.synced < old.pos {
		err = old.sync()
	}
	if err == nil {
		l.mu.Lock()
		l.durableLocked(old, old.pos, last)
		l.mu.Unlock()
		err = next.writeHeader(header{
			ordinal: old.header.ordinal + 1, logID: l.id,
			firstLSN: ids.LSN(binary.LittleEndian.Uint64(frame[frameLSN:])),
			previous: old.number, prevEnd: old.pos, prevLSN: last,
		})
	}

	l.mu.Lock()
	l.syncing = false
	if err != nil {
		l.mu.Unlock()
		_ = next.file.Close()
		return err
	}
	next.syncedLSN = last
	l.sealed = append(l.sealed, old.info(last))
	l.cur = next
	l.wakeLocked()
	l.mu.Unlock()
	l.keep.kick()
	_ = old.file.Close() // all of it is durable, so this can lose nothing; not under the lock, for unmapping takes a while
	return nil
}

// info describes a segment that ends where it has been written to.
func (s *segment) info(last ids.LSN) SegmentInfo {
	return SegmentInfo{
		Number: s.number, Ordinal: s.header.ordinal, FirstLSN: s.header.firstLSN, LastLSN: last,
		EndBytes: s.pos, FileBytes: s.fileBytes,
	}
}
