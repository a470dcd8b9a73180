package wal

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// SegmentInfo describes one segment of the log.
type SegmentInfo struct {
	Number    ids.FileNum
	Ordinal   uint64  // its place in the chain, from 1
	FirstLSN  ids.LSN // no record of the segment has a lower LSN
	LastLSN   ids.LSN // of the last record in the chain up to the segment's end
	EndBytes  int64   // where its last frame ends
	FileBytes int64
}

// Recovered is what a replay found. Start takes it to go on behind it.
type Recovered struct {
	Last       ids.LSN // the last record's LSN; if trimming left none, the last that ever was; 0 for none
	Torn       bool    // something that is no record follows the last one: an interrupted write
	TornFile   string
	TornOffset int64
	Segments   []SegmentInfo // the log, oldest first
	Leftover   []ids.FileNum // *.wal files that are no part of it: unused spares, aborted starts, trimmed segments

	logID  uint64
	header header // of the last segment
	tail   tail
}

// tail is the end of the last segment that no sync mark vouches for: it may be
// durable or only in the operating system's cache, and after a failed fsync in
// an earlier process no fsync of ours could tell. Start copies it.
type tail struct {
	proven    int64   // offset through which a mark vouches
	provenLSN ids.LSN // of the last record before it
	frames    []byte  // the record frames behind it, without the marks between
	marked    bool    // the segment has a mark: its header is durable
}

// Replay reads the log in dir and calls fn for every record in LSN order. It
// changes nothing. Records below from may be missing because they were trimmed;
// if one at or above from is missing, Replay fails before the first call.
//
// The last segment may end in the remains of an interrupted write: the log ends
// before them. Bytes that were durable once and are bad now are a CorruptError
// instead, as is every flaw before the last segment. An error of fn ends the
// replay and is returned; if it matches ErrBadPayload it becomes a CorruptError
// that names the record's place. Memory: the largest record, and what no mark
// vouches for.
func Replay(fs vfs.FS, dir string, from ids.LSN, fn func(Record) error) (*Recovered, error) {
	ch, err := readChain(fs, dir)
	if err != nil {
		return nil, err
	}
	if err := ch.checkStart(from); err != nil {
		return nil, err
	}
	rec := &Recovered{Leftover: ch.leftover}
	if len(ch.headers) == 0 {
		return rec, nil
	}
	rec.logID = ch.headers[0].logID
	rec.Last = ch.headers[0].prevLSN
	var im *image
	for i, h := range ch.headers {
		if im, err = openImage(fs, dir, h, ch.end(i), im); err != nil {
			return nil, err
		}
		w := walk{image: im, header: h, last: rec.Last, fn: fn}
		err := w.segment(ch.headers[i+1:], rec)
		im.close()
		if err != nil {
			return nil, err
		}
		rec.Last, rec.header = w.last, h
		rec.Segments = append(rec.Segments, SegmentInfo{
			Number: h.number, Ordinal: h.ordinal, FirstLSN: h.firstLSN, LastLSN: w.last, EndBytes: w.end, FileBytes: h.fileBytes,
		})
	}
	return rec, nil
}

// walk replays one segment.
type walk struct {
	image  *image
	header header
	last   ids.LSN // of the last accepted record, of an earlier segment at first
	end    int64   // where the last accepted frame ends
	fn     func(Record) error
	onMark func(frame) // may be nil
}

// segment replays a segment that those of later follow.
func (w *walk) segment(later []header, rec *Recovered) error {
	if len(later) > 0 {
		return w.sealed(later[0])
	}
	return w.open(rec)
}

// sealed replays a segment that another one follows: it must be whole up to the
// offset and the LSN that the successor's header names.
func (w *walk) sealed(next header) error {
	w.end = headerBytes
	for w.end < next.prevEnd {
		f, err := w.image.next(w.end)
		if err == nil && f.end > next.prevEnd {
			err = fmt.Errorf("frame passes the segment's end at %d", next.prevEnd)
		}
		if err == nil {
			err = w.accept(f)
		} else {
			err = w.damage(w.end, err)
		}
		if err != nil {
			return err
		}
	}
	if w.last != next.prevLSN {
		return errs.Corruptf(w.image.name, w.end, "segment ends with LSN %d, segment %s says %d", w.last, ids.SegmentName(next.number), next.prevLSN)
	}
	return nil
}

// open replays the last segment up to the first offset where no frame stands,
// and decides whether that is its end or damage.
func (w *walk) open(rec *Recovered) error {
	w.end = headerBytes
	rec.tail = tail{proven: headerBytes, provenLSN: w.last}
	w.onMark = func(f frame) {
		rec.tail.marked = true
		if f.mark.through >= rec.tail.proven {
			rec.tail.proven, rec.tail.provenLSN = f.mark.through, f.lsn
		}
	}
	for {
		f, err := w.image.next(w.end)
		if errors.Is(err, errNoFrame) {
			break
		}
		if err == nil {
			err = w.accept(f)
		} else {
			err = w.damage(w.end, err)
		}
		if err != nil {
			return err
		}
	}
	found, err := behind(w.image.file, w.image.end, w.header.number, []uint64{w.header.logID}, w.end, w.end)
	if err != nil {
		return fmt.Errorf("wal: segment %s: %w", w.image.name, err)
	}
	if found.proven {
		return errs.Corruptf(w.image.name, w.end, "no valid frame, and a sync mark proves that %d bytes were durable", found.mark.through)
	}
	if !found.blank {
		rec.Torn, rec.TornFile, rec.TornOffset = true, w.image.name, w.end
	}
	return w.copyTail(rec)
}

// copyTail keeps the record frames behind the last proven offset, where the
// segment will be sealed.
func (w *walk) copyTail(rec *Recovered) error {
	for at := rec.tail.proven; at < w.end; {
		f, err := w.image.next(at)
		if err != nil {
			return w.damage(at, fmt.Errorf("sync mark claims an offset at which no frame ends: %w", err))
		}
		if f.kind != kindMark {
			b, err := w.image.from(f.offset, f.end)
			if err != nil {
				return err
			}
			rec.tail.frames = append(rec.tail.frames, b[:f.end-f.offset]...)
		}
		at = f.end
	}
	return nil
}

// accept checks a frame against the records before it and hands it out.
func (w *walk) accept(f frame) error {
	if f.kind == kindMark {
		if f.lsn > w.last || f.mark.through == f.mark.previous && f.lsn != w.last {
			return w.damage(f.offset, fmt.Errorf("sync mark of LSN %d follows LSN %d", f.lsn, w.last))
		}
		if w.onMark != nil {
			w.onMark(f)
		}
		w.end = f.end
		return nil
	}
	if f.lsn <= w.last || f.lsn < w.header.firstLSN {
		return w.damage(f.offset, fmt.Errorf("LSN %d follows %d in a segment that begins at %d", f.lsn, w.last, w.header.firstLSN))
	}
	if err := w.fn(Record{LSN: f.lsn, Kind: f.kind, Payload: f.payload}); err != nil {
		if errors.Is(err, ErrBadPayload) {
			return w.damage(f.offset, err)
		}
		return fmt.Errorf("wal: replay record %d of segment %s: %w", f.lsn, w.image.name, err)
	}
	w.last, w.end = f.lsn, f.end
	return nil
}

// damage makes err, which is about the frame at offset, a CorruptError, unless
// that could not even be read.
func (w *walk) damage(offset int64, err error) error {
	if failed := (*readError)(nil); errors.As(err, &failed) {
		return failed.err
	}
	return &errs.CorruptError{File: w.image.name, Offset: offset, Err: err}
}
