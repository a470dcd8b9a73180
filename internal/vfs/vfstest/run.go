package vfstest

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
)

// scene is a fresh file system and an empty directory in it.
type scene struct {
	*testing.T
	fs  vfs.FS
	dir string
}

// Run runs all cases, each on a file system of its own, which fresh makes
// together with the name of an empty directory.
func Run(t *testing.T, fresh func(t *testing.T) (fs vfs.FS, dir string)) {
	cases := []struct {
		name string
		run  func(s scene)
	}{
		{"what was written is read back", writtenIsRead},
		{"a read past the end gives what is there and io.EOF", readPastEnd},
		{"a hole before a write reads as zeros", holeIsZeros},
		{"an empty read or write does nothing", emptyTransfer},
		{"negative offsets and lengths are refused", negativeOffset},
		{"a file opened for reading cannot be written", readOnly},
		{"a closed file refuses every call", closedFile},
		{"preallocating extends with zeros and never shrinks", preallocate},
		{"a mapped file is written and read like another", mapped},
		{"a mapped file can be closed while it is written", mappedAndClosed},
		{"mapping more than the file has changes nothing", mappedTooFar},
		{"two handles see the same bytes", twoHandles},
		{"reads and writes of other bytes go on side by side", sideBySide},
		{"sync of a file opened for reading succeeds", syncReadOnly},
		{"creating a name that is taken fails", createTaken},
		{"nothing can be made in a missing directory", missingDirectory},
		{"nothing can be done to a missing file", missingFile},
		{"errors carry the path", errorsCarryPath},
		{"a removed file stays readable through its handle", removedStaysReadable},
		{"a removed name can be used again", removedNameAgain},
		{"a rename replaces the file that had the name", renameReplaces},
		{"a rename onto itself changes nothing", renameOntoItself},
		{"a rename takes a file to another directory", renameAcross},
		{"a list is sorted and has base names only", listSorted},
		{"making a directory twice succeeds", mkdirTwice},
		{"a directory in the way of a file is an error", directoryInTheWay},
		{"a lock is exclusive until it is closed", lockExclusive},
		{"a lock keeps the content of its file", lockKeepsContent},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fs, dir := fresh(t)
			c.run(scene{t, fs, dir})
		})
	}
}

// path names a file in the scene's directory.
func (s scene) path(base string) string { return s.dir + "/" + base }

// create makes a file with content, closed at the end of the case.
func (s scene) create(base, content string) vfs.File {
	s.Helper()
	f, err := s.fs.Create(s.path(base))
	require.NoError(s, err)
	s.Cleanup(func() { _ = f.Close() })
	if content != "" {
		n, err := f.WriteAt([]byte(content), 0)
		require.NoError(s, err)
		require.Equal(s, len(content), n)
	}
	return f
}

// requireContent reads the file under its name.
func (s scene) requireContent(base, want string) {
	s.Helper()
	f, err := s.fs.Open(s.path(base))
	require.NoError(s, err)
	requireBytes(s, f, want)
	require.NoError(s, f.Close())
	size, err := s.fs.Size(s.path(base))
	require.NoError(s, err)
	require.EqualValues(s, len(want), size)
}

// requireBytes reads the whole file through the handle.
func requireBytes(t require.TestingT, f vfs.File, want string) {
	if h, ok := t.(interface{ Helper() }); ok {
		h.Helper()
	}
	size, err := f.Size()
	require.NoError(t, err)
	got := bytes.Repeat([]byte{0xee}, int(size)) // a zero must have been read
	n, err := f.ReadAt(got, 0)
	require.NoError(t, err)
	require.Equal(t, want, string(got[:n]))
}
