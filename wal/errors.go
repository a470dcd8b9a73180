package wal

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/ids"
)

// ErrPoisoned says that a write or fsync of the log failed. The log takes
// nothing more, for good: what the disk holds of the failed group is unknown,
// and a second fsync that succeeds would prove nothing.
var ErrPoisoned = errors.New("write-ahead log is poisoned")

// ErrIndeterminate says of a record, beside ErrPoisoned, that it was in a group
// whose write or fsync failed: it may be found by the next replay or not. A
// poisoned record without it was never handed to the operating system.
var ErrIndeterminate = errors.New("outcome is indeterminate")

// ErrClosed is returned by calls on a closed log.
var ErrClosed = errors.New("write-ahead log is closed")

// ErrTooLarge says that a record's payload exceeds MaxPayloadBytes.
var ErrTooLarge = errors.New("record too large")

// failLocked poisons the log, unless it is already, and returns the OnFailure
// call that the caller owes after unlocking; nil if there is none.
func (l *Log) failLocked(cause error) (notify func()) {
	if l.err != nil {
		return nil
	}
	l.err = fmt.Errorf("%w: %w", ErrPoisoned, cause)
	l.unhealthy.Store(true)
	l.pending.buf = nil
	l.wakeLocked()
	if l.opts.OnFailure == nil {
		return nil
	}
	err := l.err
	return func() { l.opts.OnFailure(err) }
}

// fail is failLocked for callers that do not hold the lock.
func (l *Log) fail(cause error) {
	l.mu.Lock()
	notify := l.failLocked(cause)
	l.mu.Unlock()
	if notify != nil {
		notify()
	}
}

// errorLocked is what a caller that waits for lsn is told: nil if the log is
// healthy or the record was durable before it failed.
func (l *Log) errorLocked(lsn ids.LSN) error {
	switch {
	case lsn <= l.Durable():
		return nil
	case l.err != nil && lsn <= l.attempted:
		return fmt.Errorf("wal: record %d: %w: %w", lsn, ErrIndeterminate, l.err)
	case l.err != nil:
		return fmt.Errorf("wal: record %d: %w", lsn, l.err)
	case l.closed:
		return fmt.Errorf("wal: record %d: %w", lsn, ErrClosed)
	}
	return nil
}
