package manifest

import (
	"fmt"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
)

// Sync returns once every transaction through p is durable. One caller writes
// and syncs what is pending, for all; callers that come meanwhile are served by
// the next round. Each round first waits until the write-ahead log is durable
// through the highest LSN that the group needs: the manifest is never ahead of
// the log. A failure anywhere in the round poisons the log, but for a full disk
// that is noticed before anything is written: that is errs.ErrNoSpace, what was
// pending stays pending, and Sync can be tried again. Must not be called
// with a lock held that Append's caller holds.
func (l *Log) Sync(p Position) error {
	l.mu.Lock()
	invariant.Check(p <= l.mu.last, "manifest: sync of position %d, the last is %d", p, l.mu.last)
	for {
		switch {
		case l.mu.durable >= p:
			l.mu.Unlock()
			return nil
		case l.mu.err != nil:
			err := l.mu.err
			l.mu.Unlock()
			return fmt.Errorf("manifest: sync: %w", err)
		case l.mu.closed:
			l.mu.Unlock()
			return fmt.Errorf("manifest: sync: %w", ErrClosed)
		case l.mu.writing:
			l.mu.changed.Wait()
			continue
		}
		l.mu.writing = true
		group := l.mu.pending
		l.mu.pending = nil
		need, f := l.mu.need, l.mu.file
		invariant.Check(len(group) > 0, "manifest: position %d of %d is neither durable nor pending", p, l.mu.last)
		l.mu.Unlock()
		l.opts.Schedule.Reach(schedule.ManifestWriting)

		full, err := l.writeGroup(f, group, need)
		if err != nil && !full {
			err = l.poison(err)
		}

		l.mu.Lock()
		l.mu.writing = false
		if full {
			l.mu.pending = append(group, l.mu.pending...)
		}
		l.mu.changed.Broadcast()
		if full {
			l.mu.Unlock()
			return refused("sync", err)
		}
		if err != nil && l.mu.durable < p {
			l.mu.Unlock()
			return fmt.Errorf("manifest: sync: %w", err)
		}
	}
}

// writeGroup writes and syncs a group and publishes it as durable. The caller
// owns f; need is what the write-ahead log must be durable through. full says that
// the disk has no room for the group: then nothing was written, and it can be tried
// again.
func (l *Log) writeGroup(f *file, group []entry, need ids.LSN) (full bool, err error) {
	if err := l.waitDurable(need); err != nil {
		return false, err
	}
	err = f.makeRoom(groupBytes(group))
	l.short.Store(f.short != nil)
	if err != nil {
		return errs.IsNoSpace(err), err
	}
	for _, e := range group {
		f.add(frameTransaction, e.payload)
		invariant.Check(f.position == e.position, "manifest: transaction %d written at position %d", e.position, f.position)
	}
	if err := f.flush(); err != nil {
		return false, err
	}
	if err := f.sync(); err != nil {
		return false, err
	}
	l.opts.Schedule.Reach(schedule.ManifestSynced)

	l.mu.Lock()
	l.mu.durable = f.position
	l.mu.written = f.offset
	idle := len(l.mu.pending) == 0
	l.mu.changed.Broadcast() // the group's callers need not wait for the mark
	l.mu.Unlock()
	if !idle {
		return false, nil // the next group's frames make the same claim
	}
	return false, l.mark(f)
}

// mark writes, without a sync of its own, that the file has been synced to
// here. Without it, rot in the last group could not be told from a torn tail,
// and what the group trimmed from the write-ahead log would be gone. The caller
// owns f.
func (l *Log) mark(f *file) error {
	f.add(frameMark, nil)
	if err := f.flush(); err != nil {
		return err
	}
	l.mu.Lock()
	l.mu.written = f.offset
	l.mu.Unlock()
	return nil
}

// HoldSpace tells whether the file holds ready what it should for a full disk, and
// tries to make that good if not: errs.ErrNoSpace, and nothing has changed. Who does
// not free space asks this before it appends: what is left is for those who do. It
// waits for a running Sync if there was too little last, and else costs one load. Must
// not be called with a lock held that Append's caller holds.
func (l *Log) HoldSpace() error {
	if !l.short.Load() {
		return nil
	}
	l.mu.Lock()
	for l.mu.writing && l.mu.err == nil && !l.mu.closed {
		l.mu.changed.Wait()
	}
	if err := l.healthyLocked(); err != nil {
		l.mu.Unlock()
		return fmt.Errorf("manifest: hold space: %w", err)
	}
	l.mu.writing = true
	f, pending := l.mu.file, groupBytes(l.mu.pending)
	l.mu.Unlock()

	err := f.makeRoom(pending)
	if err == nil {
		err = f.short
	}
	l.short.Store(f.short != nil)
	if err != nil && !errs.IsNoSpace(err) {
		err = l.poison(err)
	}

	l.mu.Lock()
	l.mu.writing = false
	l.mu.changed.Broadcast()
	l.mu.Unlock()
	if err != nil {
		return refused("hold space", err)
	}
	return nil
}

// groupBytes is what the group's frames and a mark behind them take.
func groupBytes(group []entry) int64 {
	n := int64(frameBytes(0))
	for _, e := range group {
		n += int64(frameBytes(len(e.payload)))
	}
	return n
}

// waitDurable returns once the write-ahead log is durable through need.
func (l *Log) waitDurable(need ids.LSN) error {
	if need == 0 {
		return nil
	}
	invariant.Check(l.opts.WaitDurable != nil, "manifest: transaction needs lsn %d and there is no write-ahead log", need)
	if err := l.opts.WaitDurable(need); err != nil {
		return fmt.Errorf("write-ahead log through lsn %d: %w", need, err)
	}
	return nil
}

// Close syncs what is pending, aborts a running rewrite, and closes the file.
// Later calls of Sync and Rewrite fail with ErrClosed. On a poisoned log it
// only closes, and returns the poison. Closing twice is allowed.
func (l *Log) Close() error {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return nil
	}
	last := l.mu.last
	l.mu.Unlock()
	err := l.Sync(last)

	l.mu.Lock()
	l.mu.closed = true // a running rewrite sees it at its next slice
	l.mu.Unlock()
	l.rewriting.Lock()
	defer l.rewriting.Unlock()

	l.mu.Lock()
	for l.mu.writing {
		l.mu.changed.Wait()
	}
	l.mu.writing = true // for ever
	f, poisoned := l.mu.file, l.mu.err
	l.mu.Unlock()
	if poisoned != nil {
		err = poisoned
	} else {
		// The mark becomes durable too: after a clean close all rot is found.
		if syncErr := f.sync(); syncErr != nil {
			err = l.poison(syncErr)
		}
	}
	if closeErr := f.handle.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close %s: %w", f.name(), closeErr)
	}
	if err != nil {
		return fmt.Errorf("manifest: close: %w", err)
	}
	return nil
}
