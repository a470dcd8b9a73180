package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/vfs"
)

// BackupSink takes the files of a backup, one after the other: a directory (BackupDir),
// or something at the other end of a connection. It is used by one goroutine.
type BackupSink interface {
	// Create begins a file. The one before has been closed. What Write is given is the
	// caller's again when it returns; what has to be durable is so when Close returns,
	// or by Finish.
	Create(name string) (io.WriteCloser, error)
	// Finish makes the backup count, durably. All files are closed. It is called once,
	// and only if nothing has failed before.
	Finish() error
}

// sinkFS is the file system that a backup is written to, on top of a sink. Files can
// only be written, tables and manifests from front to end. Of the others, which are
// log segments and the temporary of CURRENT, each is gathered in memory until it is
// closed or renamed; one that is removed before never was.
type sinkFS struct {
	to      BackupSink
	names   []string // of the files that the sink was given
	open    *sinkFile
	held    map[string]*sinkFile // temporaries
	current *sinkFile            // the last file
	files   int
	bytes   uint64
	err     error // the first one: a log does not look at the errors of closing a segment
}

var _ vfs.FS = (*sinkFS)(nil)

func unsupported(op, name string) error {
	return &fs.PathError{Op: op, Path: name, Err: errors.ErrUnsupported}
}

// Create begins a file.
func (s *sinkFS) Create(name string) (vfs.File, error) {
	f := &sinkFile{fs: s, name: path.Base(name)}
	switch kind, _ := ids.ParseFileName(f.name); {
	case kind == ids.FileTable || kind == ids.FileManifest:
		return f, f.begin()
	case kind != ids.FileSegment:
		if s.held == nil {
			s.held = map[string]*sinkFile{}
		}
		s.held[f.name] = f
	}
	return f, nil
}

// Remove forgets a file that the sink was not given.
func (s *sinkFS) Remove(name string) error {
	if slices.Contains(s.names, path.Base(name)) {
		return unsupported("remove", name)
	}
	delete(s.held, path.Base(name))
	return nil
}

// Rename makes CURRENT of its temporary. The sink is given it at the end.
func (s *sinkFS) Rename(from, to string) error {
	f := s.held[path.Base(from)]
	if f == nil || path.Base(to) != ids.CurrentName {
		return unsupported("rename", from)
	}
	delete(s.held, path.Base(from))
	f.name, s.current = ids.CurrentName, f
	return nil
}

// MkdirAll does nothing: the sink is the directory.
func (s *sinkFS) MkdirAll(string) error { return nil }

// SyncDir does nothing: Finish does.
func (s *sinkFS) SyncDir(string) error { return nil }

// List gives the names of the files there are.
func (s *sinkFS) List(string) ([]string, error) { return s.names, nil }

// Open is not there.
func (s *sinkFS) Open(name string) (vfs.File, error) { return nil, unsupported("open", name) }

// Size is not there.
func (s *sinkFS) Size(name string) (int64, error) { return 0, unsupported("size", name) }

// Lock is not there.
func (s *sinkFS) Lock(name string) (io.Closer, error) { return nil, unsupported("lock", name) }

func (s *sinkFS) finish() error {
	if s.err != nil {
		return s.err
	}
	invariant.Check(s.open == nil && len(s.held) == 0 && s.current != nil, "a backup ends with a file open or held back, or without %s", ids.CurrentName)
	if err := s.current.give(); err != nil {
		return err
	}
	return s.to.Finish()
}

// fail notes the first error.
func (s *sinkFS) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return err
}

// sinkFile is a file of a sinkFS.
type sinkFile struct {
	fs     *sinkFS
	name   string
	to     io.WriteCloser // of a file that the sink is being given
	at     int64          // how much it has of it
	gather []byte         // of a file that it will be given
	length int64          // written, or preallocated
	closed bool
}

// Map does nothing: there is no memory to share.
func (f *sinkFile) Map(int64) {}

func (f *sinkFile) begin() error {
	if f.fs.err != nil {
		return f.fs.err
	}
	invariant.Check(f.fs.open == nil, "two files of a backup are open")
	to, err := f.fs.to.Create(f.name)
	if err != nil {
		return f.fs.fail(fmt.Errorf("create %s: %w", f.name, err))
	}
	f.to, f.fs.open = to, f
	f.fs.names = append(f.fs.names, f.name)
	return nil
}

// give gives the sink the whole of what was gathered.
func (f *sinkFile) give() error {
	err := f.begin()
	if err == nil {
		err = errors.Join(f.write(f.gather), f.end())
	}
	f.gather = nil
	return err
}

// write goes on with the file.
func (f *sinkFile) write(p []byte) error {
	n, err := f.to.Write(p)
	f.at += int64(n)
	if err != nil {
		return f.fs.fail(fmt.Errorf("write %s at %d: %w", f.name, f.at, err))
	}
	return nil
}

// fill writes zeros up to an offset.
func (f *sinkFile) fill(offset int64) error {
	var zeros [4096]byte
	for f.at < offset {
		if err := f.write(zeros[:min(offset-f.at, int64(len(zeros)))]); err != nil {
			return err
		}
	}
	return nil
}

// end ends the file, at the length that was preallocated.
func (f *sinkFile) end() error {
	err := f.fill(f.length)
	if closed := f.to.Close(); closed != nil {
		err = errors.Join(err, f.fs.fail(fmt.Errorf("close %s: %w", f.name, closed)))
	}
	f.fs.open = nil
	f.fs.files++
	f.fs.bytes += uint64(f.at)
	return err
}

// WriteAt writes.
func (f *sinkFile) WriteAt(p []byte, offset int64) (int, error) {
	f.length = max(f.length, offset+int64(len(p)))
	if f.to == nil {
		if end := int(offset) + len(p); end > len(f.gather) {
			f.gather = append(f.gather, make([]byte, end-len(f.gather))...)
		}
		return copy(f.gather[offset:], p), nil
	}
	if offset < f.at {
		return 0, unsupported("write twice to", f.name)
	}
	if err := f.fill(offset); err != nil {
		return 0, err
	}
	return len(p), f.write(p)
}

// Preallocate makes the file longer.
func (f *sinkFile) Preallocate(size int64) error {
	f.length = max(f.length, size)
	return nil
}

// Close ends the file. A segment to which nothing was written is a spare that will be
// removed. Closing it again does nothing.
func (f *sinkFile) Close() error {
	if f.closed || f.fs.held[f.name] == f {
		return nil
	}
	f.closed = true
	switch {
	case f.to != nil:
		return f.end()
	case len(f.gather) > 0:
		return f.give()
	}
	return nil
}

// Sync does nothing: the sink makes things durable.
func (f *sinkFile) Sync() error { return nil }

// Size gives the length.
func (f *sinkFile) Size() (int64, error) { return f.length, nil }

// ReadAt is not there.
func (f *sinkFile) ReadAt([]byte, int64) (int, error) { return 0, unsupported("read", f.name) }
