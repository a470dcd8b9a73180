package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// While a backup reads the manifest the log is not trimmed. Writers that come to its bound
// wait for that, and are not told that the store cannot make it shorter.
func TestWritersAtTheLogsBoundWaitForABackupThatBegins(t *testing.T) {
	disk := &openHook{FS: crashfs.New()}
	o := logOptions(disk.FS)
	o.FS = disk
	s := open(t, "/db", o)
	main := fork(t, s, engine.MainFork)
	require.NoError(t, main.Set([]byte("a"), nil))
	failed := make(chan error, 1)
	disk.before(func(name string) bool { return path.Base(name) == "CURRENT" }, func() {
		go func() {
			for i := range 300 {
				if err := main.Set(fmt.Append(nil, i), bytes.Repeat([]byte("x"), 1000), engine.NoSync); err != nil {
					failed <- fmt.Errorf("write %d: %w", i, err)
					return
				}
			}
			failed <- nil
		}()
		time.Sleep(100 * time.Millisecond) // a long manifest, or a slow disk; a wrong version fails within milliseconds
	})
	_, err := s.Backup(context.Background(), backupDir(t, disk, "/backup"), engine.BackupOptions{})
	require.NoError(t, err)
	require.NoError(t, <-failed)
}

type removeHook struct {
	*crashfs.FS
	hook func(name string)
}

func (h *removeHook) Remove(name string) error {
	err := h.FS.Remove(name)
	if h.hook != nil {
		h.hook(name)
	}
	return err
}

// A segment that a trim is removing is named by the log a moment longer than it is there.
func TestABackupMayBeginWhileTheLogIsTrimmed(t *testing.T) {
	disk := &removeHook{FS: crashfs.New()}
	o := small(disk.FS)
	o.FS = disk
	s := mixedStore(t, o)
	fillLog(t, s)
	inside, on := make(chan struct{}), make(chan struct{})
	disk.hook = func(name string) {
		if isLog(name) {
			disk.hook = nil
			close(inside)
			<-on
		}
	}
	flushed := make(chan error, 1)
	go func() { flushed <- s.Flush() }()
	<-inside
	_, err := s.Backup(context.Background(), backupDir(t, disk.FS, "/backup"), engine.BackupOptions{})
	close(on)
	require.NoError(t, <-flushed)
	require.NoError(t, err)
}
