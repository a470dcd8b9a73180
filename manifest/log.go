package manifest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs"
)

// ErrPoisoned says that an earlier write or sync of the log failed. Nothing is
// written any more, and transactions that were not durable by then may or may
// not be found by the next Load.
var ErrPoisoned = errors.New("manifest log has failed")

// ErrClosed says that the log was closed.
var ErrClosed = errors.New("manifest log is closed")

// Position is the place of a transaction in one Log's life: 0 is the state that
// the log was created with, and each transaction that changes something takes
// the next. Positions survive rewrites; a new Log begins again.
type Position uint64

// Options are what a log needs from above.
type Options struct {
	// NextFile gives out file numbers. Needed by Create and Rewrite, which call
	// it without any lock held.
	NextFile func() ids.FileNum
	// WaitDurable returns once the write-ahead log is durable through the given
	// LSN. Nil if no transaction needs any. Called without any lock held.
	WaitDurable func(ids.LSN) error
	// OnFailure is called once, without the log's lock held, when the log is
	// poisoned. It must not call Sync, Rewrite or Close. May be nil.
	OnFailure func(error)
	// Forks gives at most limit forks with ids above after, by rising id, as they are
	// with every transaction appended so far: what its caller owes is appended before it
	// looks, in one step. With it the log keeps no forks of its own, and asks here for
	// those of a rewrite. Called without any lock held; the first error ends the rewrite.
	// Nil if the log is to keep them.
	Forks func(after ids.ForkID, limit int) ([]Fork, error)
	// Pace is called at the beginning of each rewrite, and what it gives after each slice,
	// without any lock held: it may sleep, so that others come to run. Nil if a rewrite
	// is to take no rest.
	Pace func() (rest func())
	// RewriteBytes is how many bytes of transactions behind the base make
	// NeedsRewrite ask for a rewrite; 0 means 4 MiB or the length of the base,
	// whichever is more.
	RewriteBytes int64
	// SlackBytes is how much space the file holds ready behind its end, so that
	// what frees space can still be published when the disk is full; 0 means
	// 16 KiB.
	SlackBytes int64
	// Schedule is told of the manifest's schedule points; nil but in tests.
	Schedule *schedule.Schedule
}

const defaultSlackBytes = 16 << 10

func (o Options) slackBytes() int64 {
	if o.SlackBytes > 0 {
		return o.SlackBytes
	}
	return defaultSlackBytes
}

const defaultRewriteBytes = 4 << 20

// Log is the manifest in use: the state, and the file that can rebuild it. Its
// methods may be called concurrently, except that calls of Append must come one
// after another, in the order that the caller wants recorded; the engine holds
// its tree lock over them. Log locks nothing of its callers and calls none of
// their functions with its own lock held, View excepted.
//
// Invariants: the file holds the transactions through some position whole and
// in order; pending holds exactly those behind it; durable <= that <= last. At
// most one goroutine, the one that set writing, touches the file.
type Log struct {
	fs   vfs.FS
	dir  string
	opts Options

	marksBytes int // maxMarksBytes but in tests

	failed atomic.Bool // err != nil; changes under mu, and every write asks it
	short  atomic.Bool // the file has too little space ready; changes with the file

	rewriting sync.Mutex // held over a rewrite, taken before mu

	mu struct {
		sync.Mutex
		changed *sync.Cond // durable, writing or err has changed

		state   *State
		pending []entry // appended, not in the file yet
		last    Position
		durable Position
		need    ids.LSN // highest that any transaction so far needs of the write-ahead log

		writing bool  // somebody owns file
		file    *file // to be touched by the owner only
		number  ids.FileNum
		base    int64 // bytes of the file's base
		written int64 // bytes of the file

		capture  bool    // a rewrite is running:
		captured []entry // what was appended since it last looked
		askAgain int64   // a rewrite was refused: bytes at which to ask again
		closed   bool
		err      error // the poison
	}
}

// entry is one transaction on its way to the file.
type entry struct {
	position Position
	payload  []byte // never changed
}

// Append gives the transaction its place, makes it the state, and keeps it in
// memory until a Sync: no I/O, never blocks on any. The state keeps t's slices.
// need is the record through which the write-ahead log must be durable before a
// byte of the transaction may reach the disk. An empty transaction takes no
// place, and its need is forgotten. On a poisoned or closed log only the state
// in memory changes; Sync tells. Cost: O(bytes of t, and of the vectors that its
// marks are added to).
//
// Marks beyond some 16 MiB are logged ahead, in transactions of their own with
// places of their own; the one returned is the last. So any number of marks can be
// appended, and after a crash a part of them may be there without the rest of t. The
// rest of t is bounded by what one frame can hold, which is asserted.
func (l *Log) Append(t *Transaction, need ids.LSN) Position {
	if t.Empty() {
		return l.Last()
	}
	parts := t.split(l.marksBytes)
	payloads := make([][]byte, len(parts))
	for i, part := range parts {
		payload := part.appendPayload(make([]byte, 0, part.payloadBytes()))
		invariant.Check(len(payload) <= maxPayloadBytes, "manifest: transaction of %d bytes, the cap is %d", len(payload), maxPayloadBytes)
		payloads[i] = payload
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	if t.Counters != nil {
		checkRising(l.mu.state.Counters, *t.Counters)
	}
	l.mu.state.Apply(t)
	if invariant.Expensive {
		err := l.mu.state.Check()
		invariant.Check(err == nil, "manifest: transaction leaves a bad state: %v", err)
	}
	first := l.mu.last + 1
	l.mu.last += Position(len(parts))
	if l.mu.err != nil || l.mu.closed {
		return l.mu.last
	}
	l.mu.need = max(l.mu.need, need)
	for i, payload := range payloads {
		e := entry{position: first + Position(i), payload: payload}
		l.mu.pending = append(l.mu.pending, e)
		if l.mu.capture {
			l.mu.captured = append(l.mu.captured, e)
		}
	}
	return l.mu.last
}

// checkRising asserts that no counter falls: a number below NextID or NextLSN
// would be given out a second time.
func checkRising(from, to Counters) {
	invariant.Check(from.Applied <= to.Applied && from.Trimmed <= to.Trimmed && from.NextID <= to.NextID && from.NextLSN <= to.NextLSN,
		"manifest: counters fall from %+v to %+v", from, to)
}

// View calls fn with the state, under the log's lock; it has no forks where
// Options.Forks gives them. fn must not keep what it
// was given, change it, or call the log.
func (l *Log) View(fn func(*State)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn(l.mu.state)
}

// Counters returns the counters of the state, transactions that are not durable
// included.
func (l *Log) Counters() Counters {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.state.Counters
}

// Last returns the position of the last transaction appended.
func (l *Log) Last() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.last
}

// Durable returns the position through which transactions survive a power loss.
func (l *Log) Durable() Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.durable
}

// FileNum returns the number of the manifest that CURRENT names. During a
// rewrite there is a second file, which nothing names yet.
func (l *Log) FileNum() ids.FileNum {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.number
}

// NeedsRewrite tells whether so much has gathered behind the base that a
// rewrite pays. After a refused rewrite it waits for another quarter of that.
func (l *Log) NeedsRewrite() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err == nil && !l.mu.closed && !l.mu.capture &&
		l.mu.written-l.mu.base >= max(l.rewriteBytesLocked(), l.mu.askAgain)
}

func (l *Log) rewriteBytesLocked() int64 {
	if l.opts.RewriteBytes > 0 {
		return l.opts.RewriteBytes
	}
	return max(defaultRewriteBytes, l.mu.base)
}

// Err returns the poison, nil while the log is healthy.
func (l *Log) Err() error {
	if !l.failed.Load() {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.err
}

// Poison stops the log as a failed write does: what is pending is not written, and
// Sync and Rewrite fail. For an owner that cannot answer any more for what it has
// appended. It does no I/O.
func (l *Log) Poison(cause error) { l.fail(cause) }

// poison fails the log for good. The first cause stays. It returns the error
// that callers get.
func (l *Log) poison(cause error) error {
	first, err := l.fail(cause)
	if first && l.opts.OnFailure != nil {
		l.opts.OnFailure(err)
	}
	return err
}

func (l *Log) fail(cause error) (first bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = l.mu.err == nil
	if first {
		l.mu.err = poisonError(cause)
		l.failed.Store(true)
		// They will never be written: not after a failure in front of them.
		l.mu.pending, l.mu.captured = nil, nil
	}
	l.mu.changed.Broadcast()
	return first, l.mu.err
}

// poisonError words the poison. A full disk met while appending must not look
// like the clean refusal that errs.IsNoSpace stands for, so its identity is
// dropped.
func poisonError(cause error) error {
	if errs.IsNoSpace(cause) {
		return fmt.Errorf("%w: %v", ErrPoisoned, cause)
	}
	return fmt.Errorf("%w: %w", ErrPoisoned, cause)
}
