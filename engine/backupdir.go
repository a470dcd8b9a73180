package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"syscall"

	"github.com/tinedb/tine/internal/vfs"
)

// unfinishedName is a file that stands in the directory of a backup until the backup is
// whole and durable. Open refuses such a directory, whatever else is in it.
const unfinishedName = "UNFINISHED"

// unfinishedText is for people who find the file.
const unfinishedText = "A backup is being written here, or was when it was interrupted. Without this\nfile the directory would be a store, but it is not whole. Remove the directory.\n"

// BackupDir is a directory that takes a backup. Its files are synced when they are
// closed. It is used by one goroutine.
type BackupDir struct {
	fs    vfs.FS
	dir   string
	names []string
}

// NewBackupDir makes ready a directory that is empty or missing; any other is refused
// with fs.ErrExist. o may be nil, of which only FS counts. The file UNFINISHED is
// durable when it returns.
func NewBackupDir(dir string, o *Options) (*BackupDir, error) {
	d := &BackupDir{fs: vfs.OS, dir: dir}
	if o != nil && o.FS != nil {
		d.fs = o.FS
	}
	if err := d.begin(); err != nil {
		return nil, fmt.Errorf("directory %s for a backup: %w", dir, diskFull(err))
	}
	return d, nil
}

func (d *BackupDir) begin() error {
	switch names, err := d.fs.List(d.dir); {
	case errors.Is(err, fs.ErrNotExist):
		if err := makeDir(d.fs, d.dir); err != nil {
			return err
		}
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%w: it is not a directory", fs.ErrExist)
	case err != nil:
		return err
	case len(names) > 0:
		return fmt.Errorf("%w: it is not empty, it holds %q", fs.ErrExist, names[0])
	}
	f, err := d.Create(unfinishedName)
	if err != nil {
		return err
	}
	_, err = io.WriteString(f, unfinishedText)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return d.fs.SyncDir(d.dir)
}

// Create begins a file. A name that is none of a single file is refused: names may come
// from the other end of a connection.
func (d *BackupDir) Create(name string) (io.WriteCloser, error) {
	if name != path.Base(name) || name == "." || name == ".." || name == "/" {
		return nil, fmt.Errorf("%q is not the name of a file", name)
	}
	f, err := d.fs.Create(path.Join(d.dir, name))
	if err != nil {
		return nil, err
	}
	d.names = append(d.names, name)
	return &backupFile{f: f}, nil
}

// Finish makes the backup count.
func (d *BackupDir) Finish() error {
	if err := d.fs.SyncDir(d.dir); err != nil {
		return err
	}
	if err := d.fs.Remove(path.Join(d.dir, unfinishedName)); err != nil {
		return err
	}
	return d.fs.SyncDir(d.dir)
}

// Abort removes the files that were made, as far as that works, the file UNFINISHED last.
// The directory stays.
func (d *BackupDir) Abort() error {
	var failed error
	for i := len(d.names) - 1; i >= 0 && (i > 0 || failed == nil); i-- { // the first is UNFINISHED
		if err := d.fs.Remove(path.Join(d.dir, d.names[i])); !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, err)
		}
	}
	return failed
}

// backupFile is a file of a BackupDir.
type backupFile struct {
	f  vfs.File
	at int64
}

func (b *backupFile) Write(p []byte) (int, error) {
	n, err := b.f.WriteAt(p, b.at)
	b.at += int64(n)
	return n, err
}

func (b *backupFile) Close() error { return errors.Join(b.f.Sync(), b.f.Close()) }
