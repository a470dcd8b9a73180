package wal

import (
	"github.com/tinedb/tine/internal/invariant"
)

// markRoomBytes is the most that one sync mark takes: the gap to the next
// sector and its frame.
const markRoomBytes = sectorBytes - frameAlign + markFrameBytes

// room counts what has been promised space in the log and what space there is.
// It belongs to the Log and is used under its lock.
//
// Records go into segments in the order in which they are appended, each into
// the current segment if it fits and else into the next spare. A record counts
// as its frame and one mark; a group has at least one record and brings at most
// one mark ahead of it and owes one behind it, of which the next group's is the
// same, so marks are paid for. Two neighbouring segments hold together more
// than one segment's worth of counted bytes, or the second would not have been
// begun; so s bytes in segments of c need at most 2*ceil(s/c)-1 spares,
// whatever the order.
//
// A record too large for an ordinary segment gets a file of its own, made when
// it is reserved. It ends the current segment early, which may cost one spare.
type room struct {
	segmentBytes int64 // file length of an ordinary segment

	reserved      int64 // counted bytes of ordinary records that are reserved
	reservations  int   // how many records are reserved, large ones too
	pendingBytes  int64 // frames of ordinary records appended and not yet taken
	takenBytes    int64 // frames of ordinary records being written
	largeWanted   int   // large records reserved or appended and not yet written
	spares        []*segment
	largeSegments []*segment
}

// capacity is how many counted bytes an empty ordinary segment takes.
func (r *room) capacity() int64 { return r.segmentBytes - headerBytes - markFrameBytes }

// counted is what a record with this payload counts, and whether it is large.
func (r *room) counted(payloadBytes int) (n int64, large bool) {
	n = frameBytes(payloadBytes) + markRoomBytes
	return n, n > r.capacity()
}

// largeFileBytes is the length of the file for a large record.
func largeFileBytes(payloadBytes int) int64 {
	n := headerBytes + markFrameBytes + frameBytes(payloadBytes) + markRoomBytes
	return (n + minSegmentBytes - 1) &^ (minSegmentBytes - 1)
}

// promised is the counted bytes of all ordinary records that have no place yet.
func (r *room) promised() int64 {
	n := r.reserved + r.pendingBytes + r.takenBytes
	if r.pendingBytes > 0 {
		n += markRoomBytes
	}
	if r.takenBytes > 0 {
		n += markRoomBytes
	}
	return n
}

// missing tells what must be created before one more record of payloadBytes may
// be promised: ordinary spares, and one large segment or none. An ordinary
// caller leaves one spare untouched.
func (r *room) missing(cur *segment, payloadBytes int, privileged bool) (spares int, large bool) {
	n, isLarge := r.counted(payloadBytes)
	promised, wanted := r.promised(), r.largeWanted
	if isLarge {
		wanted++
	} else {
		promised += n
	}
	need := 0
	left := cur.fileBytes - cur.pos - markRoomBytes
	if promised > 0 && (wanted > 0 || promised > left) {
		c := r.capacity()
		need = int(2*((promised+c-1)/c)) - 1 + wanted
	}
	if !privileged {
		need++
	}
	return max(0, need-len(r.spares)), isLarge
}

func (r *room) reserve(payloadBytes int) {
	r.reservations++
	if n, large := r.counted(payloadBytes); large {
		r.largeWanted++
	} else {
		r.reserved += n
	}
}

// release takes back one reservation.
func (r *room) release(payloadBytes int) (large bool) {
	n, large := r.counted(payloadBytes)
	r.reservations--
	if large {
		r.largeWanted--
	} else {
		r.reserved -= n
	}
	if r.reservations < 0 || r.reserved < 0 || r.largeWanted < 0 || r.reservations == 0 && r.reserved != 0 { // the arguments of Check allocate
		invariant.Check(false, "wal: a record of %d bytes has no reservation: %d left with %d bytes", payloadBytes, r.reservations, r.reserved)
	}
	return large
}

// use turns a reservation into an appended record.
func (r *room) use(payloadBytes int) {
	if r.release(payloadBytes) {
		r.largeWanted++ // until it is written
	} else {
		r.pendingBytes += frameBytes(payloadBytes)
	}
}

// take moves what is appended to the writer.
func (r *room) take() {
	invariant.Check(r.takenBytes == 0, "wal: two groups are being written")
	r.takenBytes, r.pendingBytes = r.pendingBytes, 0
}

// isLarge tells whether a frame of n bytes belongs into a segment of its own.
func (r *room) isLarge(n int64) bool { return n+markRoomBytes > r.capacity() }

// next takes the segment that a frame of n bytes will begin.
func (r *room) next(n int64) *segment {
	if !r.isLarge(n) {
		invariant.Check(len(r.spares) > 0, "wal: no spare segment for a frame of %d bytes", n)
		s := r.spares[0]
		r.spares = append(r.spares[:0], r.spares[1:]...)
		return s
	}
	i := r.smallestLarge(n)
	invariant.Check(i >= 0, "wal: no segment for a frame of %d bytes", n)
	return r.takeLarge(i)
}

// smallestLarge is the index of the smallest large segment in which a frame of
// n bytes fits, -1 if there is none. Each large record had a segment of its own
// size made, so taking the smallest that fits never leaves one without.
func (r *room) smallestLarge(n int64) int {
	best := -1
	for i, s := range r.largeSegments {
		if s.fits(headerBytes+markFrameBytes, n) && (best < 0 || s.fileBytes < r.largeSegments[best].fileBytes) {
			best = i
		}
	}
	return best
}

func (r *room) takeLarge(i int) *segment {
	s := r.largeSegments[i]
	r.largeSegments = append(r.largeSegments[:i], r.largeSegments[i+1:]...)
	return s
}
