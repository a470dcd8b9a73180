package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// imageStepBytes is how much of a segment is read at a time: it stays in the
// processor's cache until it is decoded.
const imageStepBytes = 256 << 10

// image is a segment that is being read frame by frame, of which a part at a
// time is in memory. One goroutine uses it; close it.
type image struct {
	name  string
	place place // of the segment; offset is set per frame
	file  vfs.File
	end   int64 // nothing behind is looked at

	base  int64  // offset of the first of bytes
	bytes []byte // valid until something else is asked for
}

// readError is a failed read. It says nothing about what is in the segment.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }
func (e *readError) Unwrap() error { return e.err }

// from gives what is in memory of the segment from lo on, at least through hi if
// the segment is that long. The only errors are those of reading.
func (im *image) from(lo, hi int64) ([]byte, error) {
	hi = min(hi, im.end)
	if lo >= hi {
		return nil, nil
	}
	if lo < im.base || hi > im.base+int64(len(im.bytes)) {
		if err := im.load(lo, min(im.end, max(hi, lo+imageStepBytes))); err != nil {
			return nil, &readError{fmt.Errorf("wal: read segment %s: %w", im.name, err)}
		}
	}
	return im.bytes[lo-im.base:], nil
}

// load puts [lo, hi) into memory, and keeps of what is there what belongs to that.
func (im *image) load(lo, hi int64) error {
	buf := im.bytes[:0]
	if int64(cap(buf)) < hi-lo {
		buf = make([]byte, 0, hi-lo)
	}
	buf = buf[:hi-lo]
	kept := 0
	if at := lo - im.base; at >= 0 && at < int64(len(im.bytes)) {
		kept = copy(buf, im.bytes[at:])
	}
	im.base, im.bytes = lo, buf
	if err := readFull(im.file, buf[kept:], lo+int64(kept)); err != nil {
		im.bytes = buf[:0]
		return err
	}
	return nil
}

// frameAt decodes the frame that stands at offset.
func (im *image) frameAt(offset int64) (frame, error) {
	p := im.place
	p.offset = offset
	b, err := im.from(offset, offset+framePayload)
	if err == nil && len(b) >= framePayload {
		if n := int64(binary.LittleEndian.Uint32(b[frameLength:])); n <= MaxPayloadBytes && offset+frameBytes(int(n)) <= im.end {
			b, err = im.from(offset, offset+frameBytes(int(n)))
		}
	}
	if err != nil {
		return frame{}, err
	}
	return decodeFrame(p, b)
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
	if !errors.Is(err, errNoFrame) || gapEnd == offset {
		return frame{}, err
	}
	if gap, zeroErr := im.zero(offset, gapEnd); zeroErr != nil || !gap {
		return frame{}, errors.Join(zeroErr, err)
	}
	m, markErr := im.frameAt(gapEnd)
	if markErr == nil && m.kind == kindMark && m.mark.previous == offset {
		return m, nil
	}
	if failed := (*readError)(nil); errors.As(markErr, &failed) {
		return frame{}, failed
	}
	return frame{}, err
}

// zero tells whether the bytes [lo, hi) are there and all zero.
func (im *image) zero(lo, hi int64) (bool, error) {
	b, err := im.from(lo, hi)
	if err != nil || int64(len(b)) < hi-lo {
		return false, err
	}
	return allZero(b[:hi-lo]), nil
}

// zeros is as long as the longest stretch that is written at once. Longer ones are
// looked at in pieces that stay in the processor's cache.
var zeros [aheadBytes]byte

func allZero(b []byte) bool {
	const piece = 4 << 10
	for len(b) > piece {
		if !bytes.Equal(b[:piece], zeros[:piece]) {
			return false
		}
		b = b[piece:]
	}
	return bytes.Equal(b, zeros[:len(b)])
}

// alignSector rounds an offset up to the next sector.
func alignSector(offset int64) int64 { return (offset + sectorBytes - 1) &^ (sectorBytes - 1) }

// openImage opens a segment for reading up to end, or to the end of the file if
// that is 0, with the memory of another one that is not used any more. A file that
// is shorter than its header says lost bytes that were durable before the header
// was.
func openImage(fs vfs.FS, dir string, h header, end int64, spare *image) (*image, error) {
	name := ids.SegmentName(h.number)
	file, err := fs.Open(join(dir, name))
	if err != nil {
		return nil, fmt.Errorf("wal: open segment: %w", err)
	}
	size, err := file.Size()
	switch {
	case err != nil:
		err = fmt.Errorf("wal: size of segment %s: %w", name, err)
	case size != h.fileBytes:
		err = errs.Corruptf(name, min(size, h.fileBytes), "segment is %d bytes long, its header says %d", size, h.fileBytes)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	if end == 0 {
		end = size
	}
	im := &image{name: name, place: place{logID: h.logID, number: h.number}, file: file, end: min(end, size)}
	if spare != nil {
		im.bytes = spare.bytes[:0]
	}
	return im, nil
}

// close closes the segment's file; nothing was written to it.
func (im *image) close() { _ = im.file.Close() }

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
