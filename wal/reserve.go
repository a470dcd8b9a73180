package wal

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/internal/invariant"
)

// Reserve promises room for one record with a payload of exactly payloadBytes,
// so that appending and writing it creates no file and cannot meet a full disk.
// Every Append uses up one such promise; Unreserve gives one back.
//
// Reserve may create and preallocate a segment (milliseconds) and is therefore
// called without the engine's lock; mostly it costs a few additions. If it
// fails, nothing has changed and the log remains usable: errs.ErrNoSpace for a
// full disk, ErrTooLarge, ErrPoisoned, ErrClosed. One preallocated segment is
// always left for privileged records, those through which space is freed when
// there is none; ordinary ones are refused while it cannot be replaced.
func (l *Log) Reserve(payloadBytes int, privileged bool) error {
	if payloadBytes < 0 { // the arguments of Check allocate
		invariant.Check(false, "wal: reservation of %d bytes", payloadBytes)
	}
	if payloadBytes > MaxPayloadBytes {
		return fmt.Errorf("wal: reserve %d bytes: %w: at most %d", payloadBytes, ErrTooLarge, MaxPayloadBytes)
	}
	_, large := l.room.counted(payloadBytes)
	if !large {
		if ok, err := l.tryReserve(payloadBytes, privileged, nil); ok || err != nil {
			return err
		}
	}
	if err := l.growAndReserve(payloadBytes, privileged, large); err != nil {
		if l.failIfDirectory(err) {
			err = l.Err()
		}
		return fmt.Errorf("wal: reserve %d bytes: %w", payloadBytes, err)
	}
	return nil
}

// growAndReserve creates segments until the promise can be given.
func (l *Log) growAndReserve(payloadBytes int, privileged, large bool) error {
	l.grow.Lock()
	defer l.grow.Unlock()
	var own *segment // of a large record
	for {
		ok, err := l.tryReserve(payloadBytes, privileged, own)
		if ok {
			return nil
		}
		fileBytes := l.opts.SegmentBytes
		if large && own == nil {
			fileBytes = largeFileBytes(payloadBytes)
		}
		var s *segment
		if err == nil {
			s, err = createSegment(l.fs, l.dir, l.opts.NextFile, fileBytes)
		}
		switch {
		case err != nil:
			if own != nil {
				own.discard(l.fs, l.dir)
			}
			return err
		case large && own == nil:
			own = s
		default:
			l.mu.Lock()
			l.room.spares = append(l.room.spares, s)
			l.mu.Unlock()
		}
	}
}

// tryReserve gives the promise if there is room for it. own is the file made
// for a large record, nil as long as there is none.
func (l *Log) tryReserve(payloadBytes int, privileged bool, own *segment) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.usableLocked(); err != nil {
		return false, err
	}
	spares, large := l.room.missing(l.cur, payloadBytes, privileged)
	if large && own == nil || spares > 0 {
		return false, nil
	}
	if large {
		l.room.largeSegments = append(l.room.largeSegments, own)
	}
	l.room.reserve(payloadBytes)
	return true, nil
}

// failIfDirectory poisons the log if err is a failed fsync of the directory.
func (l *Log) failIfDirectory(err error) bool {
	dirErr := (*syncDirError)(nil)
	if !errors.As(err, &dirErr) {
		return false
	}
	l.fail(err)
	return true
}

func (l *Log) usableLocked() error {
	if l.err != nil {
		return l.err
	}
	if l.closed {
		return ErrClosed
	}
	return nil
}

// Unreserve gives a reservation back: the record will not be appended. The file
// made for a large record is removed again.
func (l *Log) Unreserve(payloadBytes int) {
	l.mu.Lock()
	var unused *segment
	if l.room.release(payloadBytes) {
		if i := l.room.smallestLarge(frameBytes(payloadBytes)); i >= 0 {
			unused = l.room.takeLarge(i)
		}
	}
	l.mu.Unlock()
	if unused != nil {
		unused.discard(l.fs, l.dir)
	}
}
