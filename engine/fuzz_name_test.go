package engine

import (
	"errors"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

var allowedName = regexp.MustCompile(`\A[A-Za-z0-9._/-]{1,128}\z`)

// FuzzName: a name is accepted exactly if it is one by the words of the
// documentation, by CheckName as by the calls that give names.
func FuzzName(f *testing.F) {
	for _, name := range []string{"", "a", "../../etc/passwd", "a\x00b", "\u00e4", "a b", "a\n", ".", string(make([]byte, 129))} {
		f.Add(name)
	}
	store, err := Open("db", &Options{FS: crashfs.New(), Manual: true, SegmentBytes: 4 << 10})
	require.NoError(f, err)
	f.Cleanup(func() { store.Close() })
	main, err := store.Fork(MainFork)
	require.NoError(f, err)
	calls := 0
	f.Fuzz(func(t *testing.T, name string) {
		err := CheckName(name)
		require.Equal(t, allowedName.MatchString(name), err == nil, "%q: %v", name, err)
		if err != nil {
			require.True(t, errors.Is(err, ErrInvalidName) || errors.Is(err, ErrLimit))
			_, forkErr := main.Fork(name, NoSync)
			require.EqualError(t, errors.Unwrap(forkErr), err.Error())
			_, err = main.Snapshot(name, NoSync)
			require.True(t, errors.Is(err, ErrInvalidName) || errors.Is(err, ErrLimit))
			return
		}
		if calls++; calls%16 > 0 || name == MainFork {
			return // a fork costs a hundred times what a check does
		}
		child, err := main.Fork(name, NoSync)
		require.NoError(t, err)
		require.Equal(t, name, child.Name())
		require.NoError(t, child.Drop(NoSync))
	})
}
