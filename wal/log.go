package wal

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/spin"
	"github.com/tinedb/tine/internal/vfs"
)

// The defaults and bounds of Options.
const (
	defaultSegmentBytes = 16 << 20
	minSegmentBytes     = 4 << 10
	maxSegmentBytes     = maxFileBytes / 2
	defaultMarkDelay    = 100 * time.Millisecond
)

// keptBufferBytes is the largest group buffer that is kept for reuse.
const keptBufferBytes = 4 << 20

// Options configure a Log. NextFile is required.
type Options struct {
	// SegmentBytes is the length of a segment file; 0 means 16 MiB. A record
	// that is larger gets a file of its own size. Two such files beyond the one
	// being written are preallocated at most times.
	SegmentBytes int64
	// NextFile gives a file number that was never used. It is called without
	// locks of the log, also from the log's own goroutine.
	NextFile func() ids.FileNum
	// MarkDelay is how long the log is idle before it writes a sync mark; 0
	// means 100 ms. Below 0 the log has no goroutine: marks are written ahead of
	// the next group and at close only, and segments are made where they are
	// asked for.
	MarkDelay time.Duration
	// OnFailure is called once when the log is poisoned, without locks held.
	OnFailure func(error)
	// Schedule is told of the log's schedule points; nil but in tests.
	Schedule *schedule.Schedule

	logID uint64 // of a new log; 0 means random
}

// Log is the store's write-ahead log, open for appending. The store owns it.
// Append is called by one goroutine at a time (under the engine's lock); all
// other methods may be called concurrently.
//
// Invariants: durable <= written <= attempted <= appended. Everything that is
// appended or reserved fits into the current segment and the spare ones, so
// writing never creates a file. At most one goroutine writes (writing) and at
// most one fsyncs (syncing); a write may run while an fsync does, but then
// begins a new sector; no fsync begins while a write runs.
type Log struct {
	fs   vfs.FS
	dir  string
	opts Options
	id   uint64

	// written, durable and writing change under mu and are read without.
	written   atomic.Uint64
	durable   atomic.Uint64
	writing   atomic.Bool
	unhealthy atomic.Bool  // err != nil or closed
	promised  atomic.Int64 // the offset through which the running fsync will count; 0: the file's end

	mu spin.Mutex
	// Two conditions, so that the end of a write that an fsync follows does not
	// wake those who wait for the fsync.
	writeDone *sync.Cond // a write or an fsync ended
	syncDone  *sync.Cond // an fsync ended, or a write that none follows

	appended   ids.LSN // last LSN appended
	attempted  ids.LSN // last LSN whose bytes were or are being handed to the OS
	lastRecord ids.LSN // of the last record written; unlike written, no LSN that was skipped
	pending    group   // appended, not yet taken by a writer
	spareBuf   []byte  // the other group buffer
	syncing    bool
	syncers    int // goroutines that want to lead an fsync and wait for their turn
	err        error
	closed     bool

	cur    *segment // only the goroutine that is writing replaces it
	sealed []SegmentInfo
	room   room

	grow sync.Mutex // held while a segment is created or removed; taken before mu
	keep keeper
}

// group is a run of records that one write hands to the operating system. Its
// buffer begins with room for a sync mark.
type group struct {
	buf  []byte
	last ids.LSN
}

func (l *Log) wakeLocked() {
	l.writeDone.Broadcast()
	l.syncDone.Broadcast()
}

// Append puts one record into the memory of the log. It does no I/O, does not
// wait for any, and cannot fail: room for a record with this total payload must
// have been reserved, which Append uses up. The parts are concatenated and
// copied. The caller serialises calls; lsn is above every earlier one. Nothing
// is durable, or even written, before Write or Sync says so. On a poisoned or
// closed log the record is discarded, and Write and Sync report that.
func (l *Log) Append(lsn ids.LSN, kind Kind, payload ...[]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lsn <= l.appended || !kind.known() || kind == kindMark { // the arguments of Check allocate
		invariant.Check(false, "wal: record %d of kind %d appended after %d", lsn, kind, l.appended)
	}
	l.appended = lsn
	payloadBytes := 0
	for _, part := range payload {
		payloadBytes += len(part)
	}
	l.room.use(payloadBytes)
	if l.err != nil || l.closed {
		return
	}
	if len(l.pending.buf) == 0 {
		if cap(l.spareBuf) < markFrameBytes {
			l.spareBuf = make([]byte, 0, 64<<10)
		}
		l.pending.buf, l.spareBuf = l.spareBuf[:markFrameBytes], nil
	}
	l.pending.buf = appendFrame(l.pending.buf, lsn, kind, payload)
	l.pending.last = lsn
}

// Written is the LSN through which the operating system has the records: they
// survive a killed process.
func (l *Log) Written() ids.LSN { return ids.LSN(l.written.Load()) }

// Durable is the LSN through which records survive a power loss.
func (l *Log) Durable() ids.LSN { return ids.LSN(l.durable.Load()) }

// Err is the error that poisoned the log, nil while it is healthy.
func (l *Log) Err() error {
	if !l.unhealthy.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// Bytes is how many bytes of log there are: the used part of every segment that
// is not trimmed, and what is appended but not yet written.
func (l *Log) Bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bytesLocked()
}

func (l *Log) bytesLocked() int64 {
	n := l.cur.pos + max(0, int64(len(l.pending.buf))-markFrameBytes)
	for i := range l.sealed {
		n += l.sealed[i].EndBytes
	}
	return n
}

// FirstLSN is a bound: the log holds no record with a lower LSN.
func (l *Log) FirstLSN() ids.LSN {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.sealed) > 0 {
		return l.sealed[0].FirstLSN
	}
	return l.cur.header.firstLSN
}
