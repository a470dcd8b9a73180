package engine

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tinedb/tine/internal/vfs"
)

// dirSyncFS is the store's file system. It remembers a failed sync of a
// directory: after one, nothing is known about any name that was made or removed
// before it, whoever made it, and a later sync that succeeds proves nothing. So
// every later one fails as well, for the log, the manifest and the jobs alike.
type dirSyncFS struct {
	vfs.FS
	meter *meterFS // FS, as what it is

	mu  sync.Mutex // one sync at a time, so that none can succeed beside one that fails
	err error

	broken atomic.Bool // err is set
}

func newDirSyncFS(fs vfs.FS) *dirSyncFS {
	m := &meterFS{FS: fs}
	return &dirSyncFS{FS: m, meter: m}
}

// SyncDir makes the names in a directory durable, unless that has failed before.
func (d *dirSyncFS) SyncDir(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		if err := d.FS.SyncDir(dir); err != nil {
			d.err = fmt.Errorf("sync of directory %s: %w", dir, err)
			d.broken.Store(true)
		}
	}
	return d.err
}

func (d *dirSyncFS) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}
