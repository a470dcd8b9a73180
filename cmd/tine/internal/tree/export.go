package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	"github.com/cespare/xxhash/v2"
)

// ErrNotEmpty says that the directory to write into holds something.
var ErrNotEmpty = errors.New("the directory is not empty")

// ExportOptions says what Export does.
type ExportOptions struct {
	Prefix string // only keys that begin so; it is cut off
	Force  bool   // write into a directory that is not empty, replacing files

	Started  func(items int, bytes int64)
	Progress func(items int, bytes int64)
}

// ExportReport says what Export has written.
type ExportReport struct {
	Files       int   `json:"files"`
	Symlinks    int   `json:"symlinks"`
	Directories int   `json:"directories"`
	Bytes       int64 `json:"bytes"`
}

// ErrChanging says that the source could not be read as it is at one moment.
var ErrChanging = errors.New("not of one moment")

// Export writes the tree in source below dir, as it is at one moment, or fails with
// ErrChanging: what has been written by then stays.
// It costs two scans: the first refuses, before a byte is written, everything
// that must not be (see inspect). On a node, where a fork may change between the two,
// the second is the picture. Nothing is ever written outside dir: all paths
// go through os.Root, no link is followed, and links are made last.
func Export(ctx context.Context, source Source, dir string, opts ExportOptions) (report ExportReport, err error) {
	if err := checkTarget(dir, opts.Force); err != nil {
		return report, err
	}
	prefix := []byte(opts.Prefix)
	it, err := source.Rows(PrefixRange(prefix))
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	items, size, err := inspect(ctx, it, prefix)
	if err != nil {
		return report, err
	}
	if opts.Started != nil {
		opts.Started(items, size)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return report, fmt.Errorf("export: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return report, fmt.Errorf("export: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	ex := &exporter{ctx: ctx, it: it, prefix: prefix, root: root, opts: opts, dirs: map[string]bool{".": true}}
	err = ex.run()
	return ex.report, err
}

func checkTarget(dir string, force bool) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	defer f.Close()
	names, err := f.ReadDir(1)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("export: %w", err)
	}
	if len(names) > 0 && !force {
		return fmt.Errorf("%w: %s; choose another or use --force", ErrNotEmpty, dir)
	}
	return nil
}

// exporter is one run of Export. It is used by one goroutine.
type exporter struct {
	ctx    context.Context
	it     Rows
	prefix []byte
	root   *os.Root
	opts   ExportOptions
	report ExportReport

	dirs  map[string]bool // known to be directories and not links
	links []link          // made at the end: where names differ only in case, one could lie in a later file's way
	modes []dirMode       // given at the end, so that a read-only directory can be filled
}

type link struct{ path, target string }

type dirMode struct {
	path    string
	mode    fs.FileMode
	modTime int64
}

func (ex *exporter) run() error {
	before := Resumed(ex.it)
	for ex.it.First(); ex.it.Valid(); {
		if err := ex.ctx.Err(); err != nil {
			return err
		}
		if err := ex.oneMoment(before); err != nil {
			return err
		}
		name := string(ex.it.Key()[len(ex.prefix):])
		if err := ex.entry(name); err != nil {
			return fmt.Errorf("export %s: %w", quotePath(name), err)
		}
	}
	if err := ex.it.Error(); err != nil {
		return err
	}
	if err := ex.oneMoment(before); err != nil { // within the last entry, or behind it
		return err
	}
	for _, l := range ex.links {
		if err := ex.symlink(l); err != nil {
			return fmt.Errorf("export %s: %w", quotePath(l.path), err)
		}
	}
	for i := len(ex.modes) - 1; i >= 0; i-- { // children sort after parents
		if err := ex.finishDir(ex.modes[i]); err != nil {
			return fmt.Errorf("export %s: %w", quotePath(ex.modes[i].path), err)
		}
	}
	return nil
}

// oneMoment fails if the scan was resumed more often than before it began.
func (ex *exporter) oneMoment(before int) error {
	if n := Resumed(ex.it) - before; n > 0 {
		return fmt.Errorf("export: resumed %d times: %w; make a snapshot and export that, with --snapshot", n, ErrChanging)
	}
	return nil
}

// entry writes the entry that the iterator stands on and moves behind it.
func (ex *exporter) entry(name string) error {
	e, content, err := Parse(ex.it.Value())
	if err != nil {
		return err
	}
	switch e.Kind {
	case Dir:
		ex.report.Directories++
		if err := ex.directory(name); err != nil {
			return err
		}
		ex.modes = append(ex.modes, dirMode{name, e.FileMode(), e.ModTime})
		ex.it.Next()
	case Symlink:
		ex.report.Symlinks++
		if err := e.Verify(content); err != nil {
			return err
		}
		ex.links = append(ex.links, link{name, string(content)})
		ex.it.Next()
	default:
		ex.report.Files++
		if err := ex.file(name, e, content); err != nil {
			return err
		}
	}
	if ex.opts.Progress != nil {
		ex.opts.Progress(1, int64(e.Size))
	}
	return nil
}

// file writes one file and moves the iterator behind it and its chunks. A file
// whose bytes turn out to be wrong is taken away again.
func (ex *exporter) file(name string, e Entry, content []byte) error {
	if err := ex.directory(path.Dir(name)); err != nil {
		return err
	}
	if err := ex.clear(name); err != nil {
		return err
	}
	f, err := ex.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = ex.fill(f, e, content)
	if err == nil {
		err = f.Chmod(e.FileMode())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, ex.root.Remove(name))
	}
	ex.report.Bytes += int64(e.Size)
	return ex.root.Chtimes(name, time.Time{}, time.Unix(0, e.ModTime))
}

func (ex *exporter) fill(f *os.File, e Entry, content []byte) error {
	h := xxhash.New()
	w := io.MultiWriter(f, h)
	size := uint64(len(content))
	if _, err := w.Write(content); err != nil {
		return err
	}
	key := bytes.Clone(ex.it.Key())
	ex.it.Next()
	for n := range e.Chunks {
		if err := ex.ctx.Err(); err != nil {
			return err
		}
		if !ex.it.Valid() || !bytes.Equal(ex.it.Key(), appendChunkKey(nil, key, n)) {
			return errors.Join(fmt.Errorf("%w: piece %d of %d is missing", ErrRefused, n, e.Chunks), ex.it.Error())
		}
		size += uint64(len(ex.it.Value()))
		if _, err := w.Write(ex.it.Value()); err != nil {
			return err
		}
		ex.it.Next()
	}
	if sum := h.Sum64(); size != e.Size || sum != e.Hash {
		return fmt.Errorf("%w: %d bytes with hash %016x, stored were %d with %016x; import it again", ErrRefused, size, sum, e.Size, e.Hash)
	}
	return nil
}

// directory makes a directory and its parents, each looked at so that a link that
// stands in a directory written with --force is refused and not followed.
func (ex *exporter) directory(name string) error {
	if ex.dirs[name] {
		return nil
	}
	if err := ex.directory(path.Dir(name)); err != nil {
		return err
	}
	info, err := ex.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := ex.root.Mkdir(name, 0o700); err != nil {
			return err
		}
		if err := ex.root.Chmod(name, plainDirMode); err != nil {
			return err
		}
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%w: %s is there and is no directory", ErrRefused, quotePath(name))
	}
	ex.dirs[name] = true
	return nil
}

// clear takes away a file or link that is in the way. A directory stays, and the
// write that follows fails.
func (ex *exporter) clear(name string) error {
	if !ex.opts.Force {
		return nil
	}
	info, err := ex.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		return fmt.Errorf("%w: a directory is in the way", ErrRefused)
	}
	return ex.root.Remove(name)
}

func (ex *exporter) symlink(l link) error {
	if err := ex.directory(path.Dir(l.path)); err != nil {
		return err
	}
	if err := ex.clear(l.path); err != nil {
		return err
	}
	return ex.root.Symlink(l.target, l.path)
}

func (ex *exporter) finishDir(d dirMode) error {
	if err := ex.root.Chtimes(d.path, time.Time{}, time.Unix(0, d.modTime)); err != nil {
		return err
	}
	return ex.root.Chmod(d.path, d.mode)
}
