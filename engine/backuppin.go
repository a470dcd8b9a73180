package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
)

// pinnedLocked is the position through which files may be unlinked while backups run:
// what a later transaction has dropped may be in one.
func (s *Store) pinnedLocked(durable manifest.Position) manifest.Position {
	for _, at := range s.mu.pins {
		durable = min(durable, at)
	}
	return durable
}

// manifestTries is how often the manifest is read anew because another one took its
// place, or was being written, in the middle of reading.
const manifestTries = 16

// hold does steps 1 to 3 of a backup. The manifest that is read says Applied, so the
// cut must not lie before that; and every number that the log has up to the cut must be
// reserved in it, so it is read when the cut is chosen.
func (b *backup) hold() (err error) {
	s := b.s
	if s.opts.ReadOnly {
		if s.closed.Load() {
			return ErrClosed
		}
		b.cut = s.mu.newest
		if b.state, _, err = manifest.Load(s.fs, s.dir); err != nil {
			return err
		}
		return b.holdLog()
	}
	if err := s.writable(); err != nil {
		return err
	}
	at := b.pin()
	defer b.unpinLog()
	if err := s.writeError("publish", s.man.Sync(at)); err != nil {
		return err
	}
	for try := 1; ; try++ {
		b.state, _, err = manifest.Load(s.fs, s.dir)
		if err == nil || try == manifestTries {
			break
		}
	}
	if err != nil {
		return err
	}
	b.cut = max(b.cut, b.state.Applied)
	if err := s.writeError("sync", s.log.Sync(b.cut)); err != nil {
		return err
	}
	return b.holdLog()
}

// pin keeps files and segments, and chooses the cut.
func (b *backup) pin() manifest.Position {
	s := b.s
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.man.Last()
	s.mu.pins[b] = at
	s.mu.logPins++
	s.logPinned.Store(true)
	b.cut = s.mu.newest
	return at
}

func (b *backup) unpinLog() {
	s := b.s
	s.mu.Lock()
	s.mu.logPins--
	s.logPinned.Store(s.mu.logPins > 0)
	s.mu.Unlock()
	s.wake() // to trim what could not be trimmed meanwhile
	s.back.announce()
}

// release gives back what hold has taken, the log's pin excepted.
func (b *backup) release() {
	if b.log != nil {
		b.log.close()
	}
	b.s.mu.Lock()
	delete(b.s.mu.pins, b)
	b.s.mu.Unlock()
	b.s.wake() // there may be files to unlink
}

// heldLog is the segments of a log as open files, which can be read whatever is
// trimmed meanwhile. It is a file system that has no other files.
type heldLog struct {
	vfs.FS // for what reading a log does not ask for
	names  []string
	files  map[string]vfs.File
	bytes  int64
}

// holdLog opens the segments that hold the log now. A spare is none of them: one may
// become a segment while it is read, and look as if it had lost its header.
func (b *backup) holdLog() error {
	s := b.s
	names, err := b.segments()
	if err != nil {
		return err
	}
	b.log = &heldLog{FS: s.fs, files: map[string]vfs.File{}}
	for _, name := range names {
		f, err := s.fs.Open(path.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			// A trim that had begun before the log was pinned is removing it: what the
			// manifest that was read needs lies behind. The replay says if that is not so.
			continue
		}
		if err != nil {
			return err
		}
		b.log.names = append(b.log.names, name)
		b.log.files[name] = f
		size, err := f.Size()
		if err != nil {
			return err
		}
		b.log.bytes += size
	}
	return nil
}

func (b *backup) segments() (names []string, err error) {
	if b.s.log != nil {
		for _, number := range b.s.log.Numbers() {
			names = append(names, ids.SegmentName(number))
		}
		return names, nil
	}
	all, err := b.s.fs.List(b.s.dir)
	for _, name := range all {
		if kind, _ := ids.ParseFileName(name); kind == ids.FileSegment {
			names = append(names, name)
		}
	}
	return names, err
}

// List gives the names of the segments.
func (h *heldLog) List(string) ([]string, error) { return h.names, nil }

// Open gives a segment. Closing it does nothing.
func (h *heldLog) Open(name string) (vfs.File, error) {
	f := h.files[path.Base(name)]
	if f == nil {
		return nil, fmt.Errorf("open %s: %w", name, fs.ErrNotExist)
	}
	return heldFile{f}, nil
}

// Size gives the length of a segment.
func (h *heldLog) Size(name string) (int64, error) {
	f, err := h.Open(name)
	if err != nil {
		return 0, err
	}
	return f.Size()
}

// close closes the files. They were only read, so errors do not matter.
func (h *heldLog) close() {
	for _, f := range h.files {
		_ = f.Close()
	}
}

type heldFile struct{ vfs.File }

func (heldFile) Close() error { return nil }
