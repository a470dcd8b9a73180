package manifest

import (
	"fmt"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/schedule"
)

const (
	// caughtUpBytes of transactions may be left for the switch, during which
	// Sync waits.
	caughtUpBytes = 64 << 10
	// maxCatchUps bounds the rounds of a rewrite that traffic outruns; the
	// switch then takes what is left, however much.
	maxCatchUps = 16
)

// Rewrite replaces the log's file by a shorter one with the same content, in
// the background: appending never waits for it, syncing only for the switch at
// its end.
//
//  1. Note the position, and from here on keep each transaction.
//  2. Copy the objects in slices, as each of them is when its turn comes: some
//     already hold later transactions.
//  3. Write the transactions since the noted position, whole and in order.
//     After-images may be repeated, so what the slices hold too early comes
//     right, once every transaction that a slice may have seen is written.
//  4. When few are left, own the writing: wait until the write-ahead log is
//     durable through all that the slices may have seen, write the rest, sync,
//     point CURRENT at the file, and go on in it.
//
// A failure before CURRENT is replaced is a clean refusal: the new file is
// removed, the log goes on in the old one, and a full disk wraps
// errs.ErrNoSpace. A failed sync of the directory, or of replacing CURRENT,
// poisons the log, for nobody knows which file the next Load would find. A
// second call waits for the first. Memory: the ids of all objects, and the
// transactions of the time it takes.
func (l *Log) Rewrite() error {
	l.rewriting.Lock()
	defer l.rewriting.Unlock()

	base, store, err := l.beginCapture()
	if err != nil {
		return fmt.Errorf("manifest: rewrite: %w", err)
	}
	l.opts.Schedule.Reach(schedule.RewriteBegun)
	f, err := createFile(l.fs, l.dir, l.opts, store, base)
	if err != nil {
		l.endCapture()
		return refused("rewrite", err)
	}
	forks := l.opts.Forks
	if forks == nil {
		forks = l.ownForks
	}
	rest := func() {}
	if l.opts.Pace != nil {
		rest = l.opts.Pace()
	}
	err = l.copyState(f, forks, rest)
	if err == nil {
		l.opts.Schedule.Reach(schedule.RewriteCopied)
		err = l.catchUp(f)
	}
	if err != nil {
		l.endCapture()
		f.discard()
		return refused("rewrite", err)
	}
	return l.switchTo(f)
}

// beginCapture notes the position and begins to keep transactions.
func (l *Log) beginCapture() (Position, [16]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.healthyLocked(); err != nil {
		return 0, [16]byte{}, err
	}
	l.mu.capture = true
	return l.mu.last, l.mu.state.StoreID, nil
}

// endCapture gives a rewrite up.
func (l *Log) endCapture() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.capture, l.mu.captured = false, nil
	l.mu.askAgain = l.mu.written - l.mu.base + l.rewriteBytesLocked()/4
}

func (l *Log) healthyLocked() error {
	if l.mu.err != nil {
		return l.mu.err
	}
	if l.mu.closed {
		return ErrClosed
	}
	return nil
}

// takeCaptured hands over the transactions kept since the last call, and what
// all transactions so far need of the write-ahead log.
func (l *Log) takeCaptured() (entries []entry, need ids.LSN, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.healthyLocked(); err != nil {
		return nil, 0, err
	}
	entries, l.mu.captured = l.mu.captured, nil
	return entries, l.mu.need, nil
}

// catchUp writes transactions until few are left, and does early what makes the
// switch shorter: it waits for the write-ahead log and syncs what is there.
func (l *Log) catchUp(f *file) error {
	for range maxCatchUps {
		entries, need, err := l.takeCaptured()
		if err != nil {
			return err
		}
		if err := l.waitDurable(need); err != nil {
			return err
		}
		writtenBytes, err := writeEntries(f, entries)
		if err != nil {
			return err
		}
		if writtenBytes < caughtUpBytes {
			break
		}
	}
	return f.sync()
}

// writeEntries writes transactions into f, some at a time.
func writeEntries(f *file, entries []entry) (writtenBytes int64, err error) {
	begin := f.offset
	for _, e := range entries {
		f.add(frameTransaction, e.payload)
		if len(f.buf) >= sliceBytes {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	if err := f.flush(); err != nil {
		return 0, err
	}
	return f.offset - begin, nil
}

// switchTo makes f the log's file.
func (l *Log) switchTo(f *file) error {
	l.mu.Lock()
	for l.mu.writing {
		l.mu.changed.Wait()
	}
	if err := l.healthyLocked(); err != nil {
		l.mu.Unlock()
		l.endCapture()
		f.discard()
		return refused("rewrite", err)
	}
	l.mu.writing = true
	// From here through the end nothing more goes to the old file. What is
	// pending stays pending there, in case this fails; through is the last
	// transaction that a slice can have seen, and more.
	rest, through, need := l.mu.captured, l.mu.last, l.mu.need
	l.mu.captured = nil
	store := l.mu.state.StoreID
	l.mu.Unlock()

	poisoned := false
	err := func() error {
		// Not only what the rest needs: transactions from before the rewrite,
		// which are in the slices, may still be pending too.
		if err := l.waitDurable(need); err != nil {
			return err
		}
		if _, err := writeEntries(f, rest); err != nil {
			return err
		}
		invariant.Check(f.position == through, "manifest: rewrite holds transactions through %d of %d", f.position, through)
		if err := l.finishBase(f); err != nil {
			return err
		}
		if err := l.fs.SyncDir(l.dir); err != nil {
			poisoned = true // the next sync of the directory would prove nothing
			return fmt.Errorf("sync directory of %s: %w", f.name(), err)
		}
		if err := stageCurrent(l.fs, l.dir, current{number: f.number, store: store}); err != nil {
			return err
		}
		l.opts.Schedule.Reach(schedule.RewriteSwapping)
		if err := installCurrent(l.fs, l.dir); err != nil {
			poisoned = true
			return err
		}
		l.opts.Schedule.Reach(schedule.RewriteSwapped)
		return nil
	}()
	switch {
	case poisoned:
		err = fmt.Errorf("manifest: rewrite: %w", l.poison(err))
		_ = f.handle.Close() // CURRENT may name the file: it stays
		l.releaseWriting()
		return err
	case err != nil:
		l.endCapture()
		f.discard()
		l.releaseWriting()
		return refused("rewrite", err)
	}

	l.mu.Lock()
	old := l.mu.file
	l.mu.file, l.mu.number = f, f.number
	l.short.Store(f.short != nil)
	l.mu.base, l.mu.written = f.offset, f.offset
	l.mu.durable = through
	l.mu.pending = slices.DeleteFunc(l.mu.pending, func(e entry) bool { return e.position <= through })
	l.mu.capture, l.mu.captured, l.mu.askAgain = false, nil, 0
	l.mu.writing = false
	l.mu.changed.Broadcast()
	l.mu.Unlock()
	old.discard()
	return nil
}

func (l *Log) releaseWriting() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.writing = false
	l.mu.changed.Broadcast()
}
