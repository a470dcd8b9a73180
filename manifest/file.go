package manifest

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs"
)

// file is one manifest file being written, front to back. Whoever writes it
// owns it: it is not safe for concurrent use. Frames gather in memory until
// flush. After an error of flush or sync the file must not be written again.
//
// Invariant: durable <= offset, and chain is the checksum of the last frame
// added.
type file struct {
	fs     vfs.FS
	dir    string
	handle vfs.File
	number ids.FileNum

	offset    int64  // end of what was written
	durable   int64  // end of what was synced
	allocated int64  // the file's length: zeros from offset on, with space on disk
	slack     int64  // how much of that there should be
	short     error  // why there is less: a full disk; nil if there is not
	chain     uint64 // what the next frame chains to
	position  Position
	buf       []byte // frames not written yet
}

// maxTakenNumbers bounds the search for a free file name.
const maxTakenNumbers = 1000

// createFile makes a new manifest file that begins with its header, still in
// memory. A number whose name is taken, by a file that a crash left behind, is
// skipped: names are never reused.
func createFile(fsys vfs.FS, dir string, opts Options, store [16]byte, base Position) (*file, error) {
	for range maxTakenNumbers {
		number := opts.NextFile()
		name := ids.ManifestName(number)
		handle, err := fsys.Create(path.Join(dir, name))
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("create %s: %w", name, err)
		}
		f := &file{fs: fsys, dir: dir, handle: handle, number: number, position: base, slack: opts.slackBytes()}
		f.buf = appendHeader(f.buf, header{number: number, store: store, base: base})
		f.chain = headerChecksum(f.buf)
		return f, nil
	}
	return nil, fmt.Errorf("create manifest: %d file numbers in a row are taken", maxTakenNumbers)
}

// makeRoom sees to it that n more bytes can be written without new disk space. On
// a full disk the slack is used up first; when that is gone too it fails, and
// nothing has changed.
func (f *file) makeRoom(n int64) error {
	need := f.offset + int64(len(f.buf)) + n
	if need+f.slack/2 <= f.allocated {
		f.short = nil
		return nil
	}
	want := (need + 2*f.slack - 1) / f.slack * f.slack
	err := f.handle.Preallocate(want)
	if err == nil {
		f.allocated, f.short = want, nil
		return nil
	}
	err = fmt.Errorf("make room in %s: %w", f.name(), err)
	if errs.IsNoSpace(err) {
		f.short = err
		if need <= f.allocated {
			return nil
		}
	}
	return err
}

// add gathers one frame; a transaction's position must be the next one.
func (f *file) add(kind frameKind, payload []byte) {
	invariant.Check(len(payload) <= maxPayloadBytes, "manifest: payload of %d bytes, the cap is %d", len(payload), maxPayloadBytes)
	if kind == frameTransaction {
		f.position++
	}
	f.buf, f.chain = appendFrame(f.buf, f.number, f.offset+int64(len(f.buf)), frame{
		kind:     kind,
		position: f.position,
		chain:    f.chain,
		durable:  f.durable,
		payload:  payload,
	})
}

// flush writes what was gathered with one call.
func (f *file) flush() error {
	if len(f.buf) == 0 {
		return nil
	}
	if _, err := f.handle.WriteAt(f.buf, f.offset); err != nil {
		return fmt.Errorf("write %s at %d: %w", f.name(), f.offset, err)
	}
	f.offset += int64(len(f.buf))
	f.buf = f.buf[:0]
	return nil
}

// sync makes what was written durable.
func (f *file) sync() error {
	invariant.Check(len(f.buf) == 0, "manifest: sync of %s with %d bytes unwritten", f.name(), len(f.buf))
	if err := f.handle.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.name(), err)
	}
	f.durable = f.offset
	return nil
}

// discard closes and removes a file that nothing names. Its errors do not
// matter: what stays behind is removed by the next Create.
func (f *file) discard() {
	_ = f.handle.Close()
	_ = f.fs.Remove(path.Join(f.dir, f.name()))
}

func (f *file) name() string { return ids.ManifestName(f.number) }

// refused words the failure of a step that changed nothing; a full disk is told
// from the rest by errs.ErrNoSpace.
func refused(operation string, err error) error {
	if errs.IsNoSpace(err) && !errors.Is(err, errs.ErrNoSpace) {
		return fmt.Errorf("manifest: %s: %w: %w", operation, errs.ErrNoSpace, err)
	}
	return fmt.Errorf("manifest: %s: %w", operation, err)
}
