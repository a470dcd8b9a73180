package wal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/internal/ids"
)

// MaxPayloadBytes is the largest payload of one record: twice the largest
// batch, so that every batch fits with its framing.
const MaxPayloadBytes = 512 << 20

// A frame is what one record or sync mark looks like in a segment: these
// fields, the payload, and zeros up to a multiple of frameAlign.
const (
	frameSum      = 0  // uint64, XXH64, see place.sum
	frameLength   = 8  // uint32, bytes of payload
	frameKind     = 12 // uint8
	frameReserved = 13 // three bytes, zero
	frameLSN      = 16 // uint64
	framePayload  = 24

	frameAlign = 8
)

// A sync mark is a frame of kindMark with this payload. Its LSN is that of the
// last record before markThrough.
const (
	markMagic    = 0  // uint64
	markThrough  = 8  // uint64, offset below which the segment had been fsynced
	markPrevious = 16 // uint64, offset where the frame before the mark ends
	markPayload  = 24

	markFrameBytes = framePayload + markPayload
	markMagicValue = 0x6b72616d636e7973 // "syncmark"
)

// frameBytes is the size of the frame around a payload.
func frameBytes(payloadBytes int) int64 {
	return framePayload + (int64(payloadBytes)+frameAlign-1)&^(frameAlign-1)
}

// place says where a frame stands. It goes into the checksum, so a frame is
// valid only there: not elsewhere in its segment, not in another segment, not
// in another log, and not inside a value that a client wrote (the log's id is
// random and never leaves the log).
type place struct {
	logID  uint64
	number ids.FileNum
	offset int64
}

// sum is the XXH64 over log id, segment number, offset and all of the frame
// behind the sum itself, padding included.
func (p place) sum(frame []byte) uint64 {
	var prefix [24]byte
	binary.LittleEndian.PutUint64(prefix[0:], p.logID)
	binary.LittleEndian.PutUint64(prefix[8:], uint64(p.number))
	binary.LittleEndian.PutUint64(prefix[16:], uint64(p.offset))
	var d xxhash.Digest
	d.Reset()
	_, _ = d.Write(prefix[:])
	_, _ = d.Write(frame[frameLength:])
	return d.Sum64()
}

// seal fills in the checksum of a frame that is otherwise complete.
func (p place) seal(frame []byte) {
	binary.LittleEndian.PutUint64(frame[frameSum:], p.sum(frame))
}

// appendFrame extends dst by a frame without its checksum: that needs the
// frame's place, which is known only when its group is written.
func appendFrame(dst []byte, lsn ids.LSN, kind Kind, payload [][]byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, framePayload)...)
	for _, part := range payload {
		dst = append(dst, part...)
	}
	length := len(dst) - start - framePayload
	dst = append(dst, make([]byte, -length&(frameAlign-1))...)
	frame := dst[start:]
	binary.LittleEndian.PutUint32(frame[frameLength:], uint32(length))
	frame[frameKind] = byte(kind)
	binary.LittleEndian.PutUint64(frame[frameLSN:], uint64(lsn))
	return dst
}

// putMark writes a sealed sync mark for place p over dst[:markFrameBytes].
func putMark(dst []byte, p place, m mark, lsn ids.LSN) {
	frame := dst[:markFrameBytes]
	clear(frame)
	binary.LittleEndian.PutUint32(frame[frameLength:], markPayload)
	frame[frameKind] = byte(kindMark)
	binary.LittleEndian.PutUint64(frame[frameLSN:], uint64(lsn))
	binary.LittleEndian.PutUint64(frame[framePayload+markMagic:], markMagicValue)
	binary.LittleEndian.PutUint64(frame[framePayload+markThrough:], uint64(m.through))
	binary.LittleEndian.PutUint64(frame[framePayload+markPrevious:], uint64(m.previous))
	p.seal(frame)
}

// mark is the content of a sync mark.
type mark struct {
	through  int64 // everything below had been fsynced when the mark was written
	previous int64 // where the frame before the mark ends
}

// frame is one decoded frame. payload aliases the bytes it was decoded from.
type frame struct {
	offset  int64
	end     int64 // where the next frame may begin
	lsn     ids.LSN
	kind    Kind
	payload []byte
	mark    mark // if kind is kindMark
}

// errNoFrame says that no frame stands at an offset. It may be the clean end, a
// torn tail or damage: only what follows in the segment can tell.
var errNoFrame = errors.New("no valid frame")

// decodeFrame decodes the frame at p.offset, whose bytes begin buf. A frame
// that is cut short, capped or fails its checksum gives errNoFrame. Any other
// error means that this frame was written, checksummed and still is nonsense.
func decodeFrame(p place, buf []byte) (frame, error) {
	if len(buf) < framePayload {
		return frame{}, fmt.Errorf("%w: %d bytes are too few", errNoFrame, len(buf))
	}
	length := binary.LittleEndian.Uint32(buf[frameLength:])
	if length > MaxPayloadBytes || frameBytes(int(length)) > int64(len(buf)) {
		return frame{}, fmt.Errorf("%w: length %d passes the end", errNoFrame, length)
	}
	buf = buf[:frameBytes(int(length))]
	if p.sum(buf) != binary.LittleEndian.Uint64(buf[frameSum:]) {
		return frame{}, fmt.Errorf("%w: checksum mismatch", errNoFrame)
	}
	f := frame{
		offset:  p.offset,
		end:     p.offset + int64(len(buf)),
		lsn:     ids.LSN(binary.LittleEndian.Uint64(buf[frameLSN:])),
		kind:    Kind(buf[frameKind]),
		payload: buf[framePayload : framePayload+length : framePayload+length],
	}
	if !f.kind.known() || buf[frameReserved] != 0 || buf[frameReserved+1] != 0 || buf[frameReserved+2] != 0 {
		return frame{}, fmt.Errorf("frame of unknown kind %d", f.kind)
	}
	if f.kind == kindMark {
		return f, f.decodeMark()
	}
	return f, nil
}

func (f *frame) decodeMark() error {
	if len(f.payload) != markPayload || binary.LittleEndian.Uint64(f.payload[markMagic:]) != markMagicValue {
		return errors.New("sync mark without its magic")
	}
	through := binary.LittleEndian.Uint64(f.payload[markThrough:])
	previous := binary.LittleEndian.Uint64(f.payload[markPrevious:])
	if through > previous || previous > uint64(f.offset) || f.offset%sectorBytes != 0 {
		return fmt.Errorf("sync mark claims %d after %d", through, previous)
	}
	f.mark = mark{through: int64(through), previous: int64(previous)}
	return nil
}
