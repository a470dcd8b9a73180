package crashfs_test

import (
	"path"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/vfstest"
)

func TestConforms(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		fs := crashfs.New()
		require.NoError(t, fs.MkdirAll("/tmp/db"))
		return fs, "/tmp/db"
	})
}

// An image must be as good a file system as a new one.
func TestImagesConform(t *testing.T) {
	for name, image := range map[string]func(*crashfs.FS) *crashfs.FS{
		"after a kill":       (*crashfs.FS).AfterKill,
		"after a power loss": (*crashfs.FS).PowerLossAll,
	} {
		t.Run(name, func(t *testing.T) {
			vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
				fs := crashfs.New()
				require.NoError(t, fs.MkdirAll("db"))
				return image(fs), "db"
			})
		})
	}
}

// put makes a file whose content and name are as volatile as Create and WriteAt
// leave them.
func put(t *testing.T, fs vfs.FS, name, content string) vfs.File {
	t.Helper()
	f, err := fs.Create(name)
	require.NoError(t, err)
	write(t, f, content, 0)
	return f
}

func write(t *testing.T, f vfs.File, content string, off int64) {
	t.Helper()
	_, err := f.WriteAt([]byte(content), off)
	require.NoError(t, err)
}

// keep makes a file durable with its name.
func keep(t *testing.T, fs vfs.FS, name, content string) vfs.File {
	t.Helper()
	f := put(t, fs, name, content)
	require.NoError(t, f.Sync())
	require.NoError(t, fs.SyncDir(path.Dir(name)))
	return f
}

// read gives a file's content, or "-" if there is none.
func read(fs *crashfs.FS, name string) string {
	data, err := fs.ReadFile(name)
	if err != nil {
		return "-"
	}
	return string(data)
}
