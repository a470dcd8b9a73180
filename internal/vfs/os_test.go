package vfs_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/vfstest"
)

func TestOSConforms(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		return vfs.OS, filepath.ToSlash(t.TempDir())
	})
}

func TestOSPreallocateTellsThatTheDiskIsFull(t *testing.T) {
	f, err := vfs.OS.Create(filepath.Join(t.TempDir(), "a"))
	require.NoError(t, err)
	defer f.Close()
	err = f.Preallocate(1 << 60) // more than any disk has
	var pathErr *fs.PathError
	require.ErrorAs(t, err, &pathErr)
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EFBIG) {
		require.Fail(t, "neither full nor too big", err)
	}
	size, err := f.Size()
	require.NoError(t, err)
	require.Zero(t, size)
}

// TestOSLockHoldsAcrossProcesses locks in a child that then waits: the lock must
// refuse this process, and fall when the child is killed.
func TestOSLockHoldsAcrossProcesses(t *testing.T) {
	if name := os.Getenv("VFS_TEST_LOCK"); name != "" {
		_, err := vfs.OS.Lock(name)
		if err != nil {
			os.Exit(1)
		}
		os.Stdout.WriteString("locked")
		select {}
	}
	name := filepath.Join(t.TempDir(), "LOCK")
	child := exec.Command(os.Args[0], "-test.run=^TestOSLockHoldsAcrossProcesses$")
	child.Env = append(os.Environ(), "VFS_TEST_LOCK="+name)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	defer func() { _ = child.Process.Kill() }()
	said := make([]byte, len("locked"))
	_, err = out.Read(said)
	require.NoError(t, err)
	require.Equal(t, "locked", string(said))

	_, err = vfs.OS.Lock(name)
	require.ErrorIs(t, err, vfs.ErrLocked)
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	held, err := vfs.OS.Lock(name)
	require.NoError(t, err)
	require.NoError(t, held.Close())
}

func TestOSPreallocateWithoutReservingKeepsWhatIsThere(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f, err := vfs.OS.Create(name)
	require.NoError(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte("hello"), 0)
	require.NoError(t, err)
	const size = 600<<10 + 7
	require.NoError(t, vfs.ExtendWithZeros(f, size))
	require.NoError(t, vfs.ExtendWithZeros(f, 3))
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	want := make([]byte, size)
	copy(want, "hello")
	require.Equal(t, want, got)
}
