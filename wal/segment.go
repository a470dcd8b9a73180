package wal

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs"
)

// segment is a file of the log that is open for writing: the current one, or a
// spare that has no header yet. The Log owns it. pos, synced, claimed and
// nextSector change under the Log's lock; only the goroutine that is writing
// changes pos and uses zeroed.
type segment struct {
	number    ids.FileNum
	file      vfs.File
	fileBytes int64
	header    header

	pos        int64   // where the last written frame ends
	synced     int64   // everything below is durable
	syncedLSN  ids.LSN // of the last record below synced
	claimed    int64   // what the last written mark claims durable
	nextSector bool    // the bytes before pos are durable or being made so
	zeroed     int64   // zeros were written up to there, see zeroAheadLocked
}

// syncDirError marks a failed fsync of the directory. Other files of the store
// live there too: their names may have been part of what failed, so it poisons
// the log like the fsync of a segment.
type syncDirError struct{ err error }

func (e *syncDirError) Error() string { return e.err.Error() }
func (e *syncDirError) Unwrap() error { return e.err }

// maxTakenNumbers bounds the search for a free file name.
const maxTakenNumbers = 16

// createSegment makes a spare segment: named, preallocated with zeros, and all
// of that durable, so that a file which is ever shorter, or not zero where
// nothing was written, is damaged. A number whose name is taken, by a file that
// somebody put there, is skipped: no file is ever written over. On an error the
// file is removed again as far as that works; a full disk is errs.ErrNoSpace.
func createSegment(fsys vfs.FS, dir string, next func() ids.FileNum, fileBytes int64) (*segment, error) {
	number := next()
	file, err := fsys.Create(join(dir, ids.SegmentName(number)))
	for taken := 1; errors.Is(err, fs.ErrExist) && taken < maxTakenNumbers; taken++ {
		number = next()
		file, err = fsys.Create(join(dir, ids.SegmentName(number)))
	}
	name := ids.SegmentName(number)
	if err != nil {
		return nil, noSpace(fmt.Errorf("wal: create segment %s: %w", name, err))
	}
	s := &segment{number: number, file: file, fileBytes: fileBytes}
	if err := file.Preallocate(fileBytes); err != nil {
		s.discard(fsys, dir)
		return nil, noSpace(fmt.Errorf("wal: preallocate %d bytes of segment %s: %w", fileBytes, name, err))
	}
	if err := file.Sync(); err != nil {
		s.discard(fsys, dir)
		return nil, noSpace(fmt.Errorf("wal: sync segment %s: %w", name, err))
	}
	if err := fsys.SyncDir(dir); err != nil {
		s.discard(fsys, dir)
		return nil, &syncDirError{fmt.Errorf("wal: sync directory %s: %w", dir, err)}
	}
	return s, nil
}

// noSpace adds errs.ErrNoSpace to an error that means a full disk.
func noSpace(err error) error {
	if errs.IsNoSpace(err) && !errors.Is(err, errs.ErrNoSpace) {
		return fmt.Errorf("%w: %w", errs.ErrNoSpace, err)
	}
	return err
}

// discard closes and removes a segment that no header leads to. A replay passes
// over what could not be removed, so errors do not matter.
func (s *segment) discard(fsys vfs.FS, dir string) {
	_ = s.file.Close()
	_ = fsys.Remove(join(dir, ids.SegmentName(s.number)))
}

// writeHeader gives a spare segment its place behind previous and makes that
// durable. No record is written before: a valid record or mark proves that the
// header was there.
func (s *segment) writeHeader(h header) error {
	h.number, h.fileBytes = s.number, s.fileBytes
	name := ids.SegmentName(s.number)
	if _, err := s.file.WriteAt(h.appendTo(nil), 0); err != nil {
		return fmt.Errorf("wal: write header of segment %s: %w", name, err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("wal: sync segment %s: %w", name, err)
	}
	s.file.Map(s.fileBytes)
	s.header = h
	s.pos = max(s.pos, headerBytes)
	s.synced, s.claimed, s.nextSector = s.pos, 0, true
	return nil
}

// start is the offset of the next frame, and whether a sync mark must stand
// there: one begins every write that follows an fsync.
func (s *segment) start() (offset int64, marked bool) {
	if !s.nextSector {
		return s.pos, false
	}
	return alignSector(s.pos), true
}

// fits tells whether a frame of n bytes may end at end+n: a sync mark must
// still fit behind it.
func (s *segment) fits(end, n int64) bool { return end+n <= s.fileBytes-markRoomBytes }

// hasRoomForMark tells whether a sync mark may stand behind the last frame. What
// fits leaves room for may be taken by a mark that claims only what was durable
// before the last record: nothing may claim that one in this segment then. The next
// open takes it for a part of the tail and copies it, as it does after a crash.
func (s *segment) hasRoomForMark() bool { return alignSector(s.pos)+markFrameBytes <= s.fileBytes }

// write puts frames at offset, the first byte of buf.
func (s *segment) write(buf []byte, offset int64) error {
	if offset < headerBytes || offset+int64(len(buf)) > s.fileBytes { // the arguments of Check allocate
		invariant.Check(false, "wal: write of %d bytes at %d of segment %d passes its end", len(buf), offset, s.number)
	}
	if _, err := s.file.WriteAt(buf, offset); err != nil {
		return fmt.Errorf("wal: write %d bytes at %d of segment %s: %w", len(buf), offset, ids.SegmentName(s.number), err)
	}
	return nil
}

// sync makes everything written durable.
func (s *segment) sync() error {
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("wal: sync segment %s: %w", ids.SegmentName(s.number), err)
	}
	return nil
}

// place is where a frame at offset stands.
func (s *segment) place(logID uint64, offset int64) place {
	return place{logID: logID, number: s.number, offset: offset}
}

// removeSegment takes a segment's file away; one that is gone already is fine.
func removeSegment(fsys vfs.FS, dir string, number ids.FileNum) error {
	name := ids.SegmentName(number)
	if err := fsys.Remove(join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("wal: remove segment %s: %w", name, err)
	}
	return nil
}
