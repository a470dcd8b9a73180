package wal

import (
	"errors"
	"fmt"
	"io"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// image is the whole of one segment in memory, read frame by frame.
type image struct {
	name  string
	place place // of the segment; offset is set per frame
	bytes []byte
}

// frameAt decodes the frame that stands at offset.
func (im *image) frameAt(offset int64) (frame, error) {
	p := im.place
	p.offset = offset
	if offset > int64(len(im.bytes)) {
		return frame{}, errNoFrame
	}
	return decodeFrame(p, im.bytes[offset:])
}

// next decodes the frame that follows what ends at offset: the one right there
// or, if the rest of the sector is zero, the sync mark that begins the next
// sector and names offset as its predecessor's end. No other frame may follow a
// gap: one in the middle of a torn group could begin a sector by chance, and
// the records between would be lost without a trace.
func (im *image) next(offset int64) (frame, error) {
	f, err := im.frameAt(offset)
	if err == nil {
		if f.kind == kindMark && f.mark.previous != offset {
			return frame{}, fmt.Errorf("sync mark follows %d, not %d", f.mark.previous, offset)
		}
		return f, nil
	}
	gapEnd := alignSector(offset)
	if errors.Is(err, errNoFrame) && gapEnd != offset && im.zero(offset, gapEnd) {
		if m, markErr := im.frameAt(gapEnd); markErr == nil && m.kind == kindMark && m.mark.previous == offset {
			return m, nil
		}
	}
	return frame{}, err
}

// zero tells whether the bytes [lo, hi) are there and all zero.
func (im *image) zero(lo, hi int64) bool {
	if hi > int64(len(im.bytes)) {
		return false
	}
	for _, b := range im.bytes[lo:hi] {
		if b != 0 {
			return false
		}
	}
	return true
}

// alignSector rounds an offset up to the next sector.
func alignSector(offset int64) int64 { return (offset + sectorBytes - 1) &^ (sectorBytes - 1) }

// readImage reads a segment of size bytes, reusing buf if it is large enough. A
// file that is shorter than its header says lost bytes that were durable before
// the header was.
func readImage(fs vfs.FS, dir string, h header, buf []byte) (*image, error) {
	name := ids.SegmentName(h.number)
	file, err := fs.Open(join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("wal: open segment: %w", err)
	}
	defer file.Close()
	size, err := file.Size()
	if err != nil {
		return nil, fmt.Errorf("wal: size of segment %s: %w", name, err)
	}
	if size != h.fileBytes {
		return nil, errs.Corruptf(name, min(size, h.fileBytes), "segment is %d bytes long, its header says %d", size, h.fileBytes)
	}
	if int64(cap(buf)) < size {
		buf = make([]byte, size)
	}
	buf = buf[:size]
	if err := readFull(file, buf, 0); err != nil {
		return nil, fmt.Errorf("wal: read segment %s: %w", name, err)
	}
	return &image{name: name, place: place{logID: h.logID, number: h.number}, bytes: buf}, nil
}

// readFull fills b from offset on; a short file is io.ErrUnexpectedEOF.
func readFull(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
