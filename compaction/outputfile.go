package compaction

import (
	"fmt"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// writeBytes is the size of one write to a file: large enough that the cost of a
// call does not show, small enough to stay in the processor's cache.
const writeBytes = 512 << 10

// outputFile is one file of an Output. It is written from front to end.
type outputFile struct {
	num     ids.FileNum
	name    string
	h       vfs.File // nil once closed
	bytes   uint64   // given to the Output for this file, buffered or written
	written int64    // in the file
}

// write appends p.
func (f *outputFile) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if _, err := f.h.WriteAt(p, f.written); err != nil {
		return fmt.Errorf("write %s at %d: %w", f.name, f.written, err)
	}
	f.written += int64(len(p))
	return nil
}

// finish writes the rest, syncs and closes.
func (f *outputFile) finish(rest []byte) error {
	if err := f.write(rest); err != nil {
		return err
	}
	if err := f.h.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.name, err)
	}
	return f.close()
}

func (f *outputFile) close() error {
	if f.h == nil {
		return nil
	}
	err := f.h.Close()
	f.h = nil
	if err != nil {
		return fmt.Errorf("close %s: %w", f.name, err)
	}
	return nil
}
