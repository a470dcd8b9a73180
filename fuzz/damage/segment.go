package damage

import (
	"bytes"
	"encoding/binary"
)

// segment is one file of an undamaged log, read the simple way: wal/FORMAT.md
// says where things stand, and nothing here checks a checksum. The oracle reads
// it by itself, so that it does not learn from the reader under test what may be
// lost.
type segment struct {
	name    string
	number  uint64
	ordinal uint64
	prevLSN uint64
	frames  []frame
	end     int64 // of the last frame
}

// frame is one record or sync mark.
type frame struct {
	at, end int64
	lsn     uint64
	mark    bool
	through int64 // of a mark
}

const (
	sectorBytes      = 512
	frameHeaderBytes = 24
	markBytes        = 48
	markKind         = 255
)

// parseSegment reads a segment; ok is false if the file is a spare.
func parseSegment(name string, b []byte) (s segment, ok bool) {
	if len(b) < sectorBytes || !bytes.HasPrefix(b, []byte("tine-wal")) {
		return segment{}, false
	}
	word := func(at int64) uint64 { return binary.LittleEndian.Uint64(b[at:]) }
	s = segment{name: name, number: word(16), ordinal: word(24), prevLSN: word(72), end: sectorBytes}
	for at := int64(sectorBytes); at+frameHeaderBytes <= int64(len(b)); {
		next := (at + sectorBytes - 1) / sectorBytes * sectorBytes
		gap := at + frameHeaderBytes
		if next > at { // a mark may follow at the sector's end, however near that is
			gap = min(gap, next)
		}
		if allZero(b[at:gap]) {
			if next == at || next+markBytes > int64(len(b)) || b[next+12] != markKind {
				break
			}
			at = next
		}
		f := frame{at: at, lsn: word(at + 16), mark: b[at+12] == markKind}
		f.end = at + frameHeaderBytes + (int64(binary.LittleEndian.Uint32(b[at+8:]))+7)/8*8
		if f.mark {
			f.through = int64(word(at + 32))
		}
		s.frames = append(s.frames, f)
		s.end, at = f.end, f.end
	}
	return s, true
}

func allZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// lastLSN is that of the last record, or of the one before the segment.
func (s *segment) lastLSN() uint64 { return s.lsnBefore(1 << 62) }

// lsnBefore is the LSN of the last record that ends at or before an offset.
func (s *segment) lsnBefore(offset int64) uint64 {
	lsn := s.prevLSN
	for _, f := range s.frames {
		if !f.mark && f.end <= offset {
			lsn = f.lsn
		}
	}
	return lsn
}

// keeps is the LSN through which records must survive when this segment, the last
// of the log, becomes damaged: lossless if none may be lost. before and after are
// its bytes; after is nil if it is gone.
//
// A sync mark that is still there proves what lies below its "through": a
// damaged byte there must be noticed. Behind all of those, or if no mark is left,
// the first damaged byte may be taken for the torn end of a write, and what
// stands before it must survive. If the header is damaged and no mark is left,
// the file cannot be told from one that was never used.
func (s *segment) keeps(before, after []byte) (lsn uint64, lossless bool) {
	first, proven := firstDifference(before, after), s.proven(before, after)
	switch {
	case first < 0 || first >= s.end || first < proven:
		return 0, true
	case s.unrecognized(before, after):
		return s.prevLSN, false
	}
	return s.lsnBefore(first), false
}

// unrecognized tells whether neither the header nor any mark of the segment is
// left.
func (s *segment) unrecognized(before, after []byte) bool {
	first := firstDifference(before, after)
	return first >= 0 && first < sectorBytes && s.proven(before, after) < 0
}

// proven is the offset below which sync marks that are still there prove that
// bytes were durable, -1 if none is left.
func (s *segment) proven(before, after []byte) int64 {
	proven := int64(-1)
	for _, f := range s.frames {
		if f.mark && f.end <= int64(len(after)) && bytes.Equal(before[f.at:f.end], after[f.at:f.end]) {
			proven = max(proven, f.through)
		}
	}
	return proven
}

// firstDifference is the first offset at which two files differ, -1 if nowhere.
func firstDifference(a, b []byte) int64 {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return int64(i)
		}
	}
	if len(a) == len(b) {
		return -1
	}
	return int64(n)
}
