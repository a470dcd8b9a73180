package wal

import "github.com/tinedb/tine/internal/ids"

// Trimmable tells whether Trim(lo) would remove a segment.
func (l *Log) Trimmable(lo ids.LSN) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sealed) > 0 && l.sealed[0].LastLSN < lo
}

// SealedBytes is how long the segments before the current one are, as they were
// preallocated: what trimming can take away at most.
func (l *Log) SealedBytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sealedBytesLocked()
}

func (l *Log) sealedBytesLocked() (n int64) {
	for i := range l.sealed {
		n += max(l.sealed[i].EndBytes, l.opts.SegmentBytes)
	}
	return n
}

// Lengths are Bytes, SealedBytes and Segments of one moment.
func (l *Log) Lengths() (bytes, sealedBytes int64, segments int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytesLocked(), l.sealedBytesLocked(), len(l.sealed) + 1
}

// Segments is the number of segments that hold the log, spares not counted.
func (l *Log) Segments() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.sealed) + 1
}

// Numbers gives the segments that hold the log, oldest first, spares not counted. Their
// headers are written.
func (l *Log) Numbers() []ids.FileNum {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]ids.FileNum, 0, len(l.sealed)+1)
	for i := range l.sealed {
		out = append(out, l.sealed[i].Number)
	}
	return append(out, l.cur.number)
}
