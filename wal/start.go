package wal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs"
)

// Start opens the log in dir for appending, in a fresh segment whose header
// seals what rec found: records behind its end are never read again. rec is nil
// for a new store. The first record appended will have an LSN of at least next,
// which is above every LSN that was ever appended, recovered or not. When Start
// returns, everything that was recovered is durable.
//
// The seal lies where the last sync mark vouches for the segment; records behind
// it are copied into the fresh one first. An earlier process may have
// met a failing fsync: then they are in the operating system's cache only, and
// no fsync would ever write them again. If not even the last segment's header
// is vouched for, the fresh segment supersedes it: it takes the same place in
// the chain, and of two such segments the higher number counts. Nothing that was
// replayed is fsynced again: a segment got its name, and what a mark or its
// successor's header vouches for, durably before those were written.
//
// On an error the log on disk is what it was; errs.ErrNoSpace if the disk is
// too full for a segment.
func Start(fs vfs.FS, dir string, rec *Recovered, next ids.LSN, opts Options) (*Log, error) {
	if rec == nil {
		rec = &Recovered{}
	}
	if next <= rec.Last {
		return nil, fmt.Errorf("wal: start at LSN %d, yet the log holds %d", next, rec.Last)
	}
	l := &Log{fs: fs, dir: dir, opts: opts.withDefaults(), id: rec.logID}
	if len(rec.Segments) == 0 {
		l.id = opts.logID
		if l.id == 0 {
			l.id = randomID()
		}
	}
	l.writeDone, l.syncDone = sync.NewCond(&l.mu), sync.NewCond(&l.mu)
	l.room.segmentBytes = l.opts.SegmentBytes
	l.appended, l.attempted = next-1, next-1
	l.lastRecord = rec.Last
	l.written.Store(uint64(next - 1))
	l.durable.Store(uint64(next - 1))
	if err := l.startSegment(rec, next); err != nil {
		return nil, err
	}
	if !l.keep.start(l) { // there is nobody to make it later
		if err := l.firstSpare(); err != nil {
			_ = l.cur.file.Close()
			return nil, err
		}
	}
	return l, nil
}

// firstSpare makes the spare segment that is left to privileged records. If the disk
// is full, Reserve tries again.
func (l *Log) firstSpare() error {
	s, err := createSegment(l.fs, l.dir, l.opts.NextFile, l.opts.SegmentBytes)
	switch {
	case err == nil:
		l.room.spares = append(l.room.spares, s)
	case !errors.Is(err, errs.ErrNoSpace):
		return err
	}
	return nil
}

// startSegment makes the segment that Start appends to.
func (l *Log) startSegment(rec *Recovered, next ids.LSN) error {
	h := header{ordinal: 1, logID: l.id, firstLSN: next}
	if n := len(rec.Segments); n > 0 {
		l.sealed = append(l.sealed, rec.Segments...)
		last := &l.sealed[n-1]
		last.EndBytes, last.LastLSN = rec.tail.proven, rec.tail.provenLSN
		if len(rec.tail.frames) > 0 {
			h.firstLSN = rec.tail.firstLSN()
		}
		h.ordinal, h.previous = last.Ordinal+1, last.Number
		h.prevEnd, h.prevLSN = last.EndBytes, last.LastLSN
		if !rec.tail.marked {
			h.ordinal, h.previous = last.Ordinal, rec.header.previous
			h.prevEnd, h.prevLSN = rec.header.prevEnd, rec.header.prevLSN
		}
	}
	fileBytes := l.opts.SegmentBytes
	if n := headerBytes + int64(len(rec.tail.frames)) + 2*markRoomBytes; n > fileBytes {
		fileBytes = (n + minSegmentBytes - 1) &^ (minSegmentBytes - 1)
	}
	s, err := createSegment(l.fs, l.dir, l.opts.NextFile, fileBytes)
	if err != nil {
		return err
	}
	if len(rec.tail.frames) > 0 {
		err = l.copyTail(s, rec.tail.frames)
	}
	if err == nil {
		err = s.writeHeader(h)
	}
	s.syncedLSN = rec.Last
	if err == nil && len(rec.tail.frames) > 0 {
		err = l.writeMark(s)
	}
	if err != nil {
		_ = s.file.Close()
		return err
	}
	l.cur = s
	return nil
}

// copyTail writes frames into the fresh segment, which has no header yet: if
// the process dies here, the file is a leftover and the old segment's end still
// counts. Then it makes them durable.
func (l *Log) copyTail(s *segment, frames []byte) error {
	at := int64(headerBytes)
	for rest := frames; len(rest) > 0; {
		n := frameBytes(int(binary.LittleEndian.Uint32(rest[frameLength:])))
		s.place(l.id, at).seal(rest[:n])
		rest = rest[n:]
		at += n
	}
	if err := s.write(frames, headerBytes); err != nil {
		return err
	}
	s.pos = at
	return s.sync()
}

// firstLSN is that of the first record in the tail.
func (t *tail) firstLSN() ids.LSN {
	return ids.LSN(binary.LittleEndian.Uint64(t.frames[frameLSN:]))
}

func (o Options) withDefaults() Options {
	invariant.Check(o.NextFile != nil, "wal: Options.NextFile is nil")
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = defaultSegmentBytes
	}
	o.SegmentBytes = min(max(o.SegmentBytes, minSegmentBytes), maxSegmentBytes) &^ (sectorBytes - 1)
	if o.MarkDelay == 0 {
		o.MarkDelay = defaultMarkDelay
	}
	return o
}

func randomID() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:]) | 1
}
