package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/internal/ids"
)

// frameKind says what a frame is for. On disk it is four letters, which also
// serve as the frame's magic.
type frameKind string

const (
	frameSlice       frameKind = "SLCE" // objects of the state at the base; payload: puts
	frameTransaction frameKind = "TXNE" // one transaction
	frameBase        frameKind = "BASE" // the base ends here; no payload
	frameMark        frameKind = "MARK" // only its claim counts; no payload
)

// A frame is a header of frameHeaderBytes, a payload, and zeros up to the next
// multiple of frameAlign.
const (
	frameKindAt      = 0  // 4 letters
	frameLengthAt    = 4  // uint32, of the payload in bytes
	framePositionAt  = 8  // uint64
	frameChainAt     = 16 // uint64, checksum of the frame before, or of the header
	frameDurableAt   = 24 // uint64, offset through which the file had been synced
	frameChecksumAt  = 32 // uint64
	frameHeaderBytes = 40

	frameAlign      = 8
	maxPayloadBytes = 1 << 30
)

// frame is one decoded frame. payload aliases the buffer it was read into.
type frame struct {
	kind     frameKind
	position Position
	chain    uint64
	durable  int64
	checksum uint64
	payload  []byte
}

// frameBytes is the length on disk of a frame with that payload.
func frameBytes(payloadBytes int) int {
	return frameHeaderBytes + (payloadBytes+frameAlign-1)/frameAlign*frameAlign
}

// appendFrame extends dst with a frame that is to stand at offset of the
// manifest number, and returns its checksum too. f.checksum is not read.
func appendFrame(dst []byte, number ids.FileNum, offset int64, f frame) ([]byte, uint64) {
	begin := len(dst)
	dst = append(dst, f.kind...)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(f.payload)))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.position))
	dst = binary.LittleEndian.AppendUint64(dst, f.chain)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(f.durable))
	dst = append(dst, make([]byte, 8)...)
	dst = append(dst, f.payload...)
	for (len(dst)-begin)%frameAlign != 0 {
		dst = append(dst, 0)
	}
	checksum := frameChecksum(number, offset, dst[begin:])
	binary.LittleEndian.PutUint64(dst[begin+frameChecksumAt:], checksum)
	return dst, checksum
}

// frameChecksum is the XXH64 of where the frame stands and of all its bytes but
// the checksum itself, so that a frame copied elsewhere fails like a damaged
// one.
func frameChecksum(number ids.FileNum, offset int64, b []byte) uint64 {
	var place [16]byte
	binary.LittleEndian.PutUint64(place[0:], uint64(number))
	binary.LittleEndian.PutUint64(place[8:], uint64(offset))
	var d xxhash.Digest
	d.Reset()
	d.Write(place[:])
	d.Write(b[:frameChecksumAt])
	d.Write(b[frameHeaderBytes:])
	return d.Sum64()
}

var (
	errFrameKind     = errors.New("no frame begins here")
	errFrameShort    = errors.New("file ends inside a frame")
	errFrameChecksum = errors.New("frame checksum does not match")
)

// isFrameKind tells whether four bytes name a kind of frame.
func isFrameKind(b []byte) bool {
	switch frameKind(b) {
	case frameSlice, frameTransaction, frameBase, frameMark:
		return true
	}
	return false
}

// readFrame reads the frame at offset of a manifest, and where the next one
// would begin. The payload is valid until w is read again. A frame that is not
// whole and unchanged gives one of the errors above; any other error is the
// disk's.
func readFrame(w *window, number ids.FileNum, offset int64) (frame, int64, error) {
	if w.size-offset < frameHeaderBytes {
		return frame{}, 0, errFrameShort
	}
	head, err := w.bytes(offset, frameHeaderBytes)
	if err != nil {
		return frame{}, 0, err
	}
	if !isFrameKind(head[frameKindAt:frameLengthAt]) {
		return frame{}, 0, errFrameKind
	}
	payloadBytes := binary.LittleEndian.Uint32(head[frameLengthAt:])
	if payloadBytes > maxPayloadBytes {
		return frame{}, 0, fmt.Errorf("%w: payload of %d bytes", errFrameKind, payloadBytes)
	}
	length := frameBytes(int(payloadBytes))
	if w.size-offset < int64(length) {
		return frame{}, 0, errFrameShort
	}
	b, err := w.bytes(offset, length)
	if err != nil {
		return frame{}, 0, err
	}
	f := frame{
		kind:     frameKind(b[frameKindAt:frameLengthAt]),
		position: Position(binary.LittleEndian.Uint64(b[framePositionAt:])),
		chain:    binary.LittleEndian.Uint64(b[frameChainAt:]),
		durable:  int64(binary.LittleEndian.Uint64(b[frameDurableAt:])),
		checksum: binary.LittleEndian.Uint64(b[frameChecksumAt:]),
		payload:  b[frameHeaderBytes : frameHeaderBytes+int(payloadBytes)],
	}
	if frameChecksum(number, offset, b) != f.checksum {
		return frame{}, 0, errFrameChecksum
	}
	return f, offset + int64(length), nil
}

// isBadFrame tells a frame that is not there from a disk that cannot be read.
func isBadFrame(err error) bool {
	return errors.Is(err, errFrameKind) || errors.Is(err, errFrameShort) || errors.Is(err, errFrameChecksum)
}
