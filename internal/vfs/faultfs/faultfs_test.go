package faultfs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
	"github.com/tinedb/tine/internal/vfs/vfstest"
)

func TestConformsOverTheOperatingSystem(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) {
		return faultfs.New(vfs.OS), filepath.ToSlash(t.TempDir())
	})
}

func TestConformsOverCrashfs(t *testing.T) {
	vfstest.Run(t, func(t *testing.T) (vfs.FS, string) { return faultfs.New(crashfs.New()), "" })
}

// calls makes each kind of call once, in the order of the Ops, on a store that
// has the file "old", and returns the first error.
func calls(f *faultfs.FS) error {
	made, err := f.Create("new")
	if err != nil {
		return err
	}
	old, err := f.Open("old")
	if err != nil {
		return err
	}
	steps := []func() error{
		func() error { _, err := old.ReadAt(make([]byte, 1), 0); return err },
		func() error { _, err := made.WriteAt([]byte("12345678"), 0); return err },
		made.Sync,
		func() error { return made.Preallocate(100) },
		func() error { return f.Rename("new", "newer") },
		func() error { return f.Remove("old") },
		func() error { return f.SyncDir("") },
		func() error { _, err := f.List(""); return err },
		func() error { return f.MkdirAll("dir") },
		func() error { _, err := f.Lock("LOCK"); return err },
		func() error { _, err := f.Size("newer"); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func fresh(t *testing.T) (*faultfs.FS, *crashfs.FS) {
	disk := crashfs.New()
	require.NoError(t, disk.WriteFile("old", []byte("O")))
	return faultfs.New(disk), disk
}

func TestEveryKindOfCallFails(t *testing.T) {
	for op := faultfs.OpCreate; op <= faultfs.OpSize; op++ {
		t.Run(op.String()+" fails with the error of the rule and its path", func(t *testing.T) {
			f, _ := fresh(t)
			f.Inject(faultfs.Rule{Op: op, Err: syscall.ENOSPC})
			err := calls(f)
			require.ErrorIs(t, err, syscall.ENOSPC)
			var pathErr *fs.PathError
			require.ErrorAs(t, err, &pathErr)
			require.Equal(t, op.String(), pathErr.Op)
			require.Equal(t, 1, f.Injected())
			require.Equal(t, 1, f.Calls(op))
			require.Equal(t, int(op), f.Calls(faultfs.OpAny), "the calls before it went through")
		})
	}
}

func TestAFailedCallHasNoEffect(t *testing.T) {
	want := []string{ // names and bytes when call 1, 2, … failed
		"old:1",                                     // create
		"new:0 old:1", "new:0 old:1", "new:0 old:1", // open, read, write
		"new:8 old:1", "new:8 old:1", "new:100 old:1", // sync, preallocate, rename
		"newer:100 old:1", "newer:100", "newer:100", // remove, syncdir, list
		"newer:100", "newer:100", "LOCK:0 newer:100", // mkdir, lock, size
		"LOCK:0 newer:100", // none
	}
	for i, want := range want {
		f, disk := fresh(t)
		f.Inject(faultfs.Rule{Nth: i + 1})
		err := calls(f)
		if f.Injected() == 0 {
			require.NoError(t, err)
			require.Equal(t, 13, i, "every call had its turn")
		} else {
			require.ErrorIs(t, err, syscall.EIO)
		}
		var got []string
		for _, name := range disk.Names() {
			size, err := disk.Size(name)
			require.NoError(t, err)
			got = append(got, fmt.Sprintf("%s:%d", name, size))
		}
		require.Equal(t, want, strings.Join(got, " "), "call %d", i+1)
	}
}

func TestRules(t *testing.T) {
	size := func(f *faultfs.FS, name string) bool {
		_, err := f.Size(name)
		return err == nil || errors.Is(err, fs.ErrNotExist)
	}
	cases := []struct {
		name string
		rule faultfs.Rule
		want string // of the calls a, a, b, a, b: + passed, - failed
	}{
		{"a rule fails the next call once", faultfs.Rule{}, "-++++"},
		{"the nth call fails once", faultfs.Rule{Nth: 3}, "++-++"},
		{"a sticky rule fails all from the nth on", faultfs.Rule{Nth: 3, Sticky: true}, "++---"},
		{"only matching names count", faultfs.Rule{Nth: 2, Match: isB}, "++++-"},
		{"a sticky rule fails only what matches", faultfs.Rule{Match: isB, Sticky: true}, "++-+-"},
		{"another kind of call is not hit", faultfs.Rule{Op: faultfs.OpOpen, Sticky: true}, "+++++"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f, _ := fresh(t)
			f.Inject(c.rule)
			var got strings.Builder
			for _, name := range []string{"a", "a", "b", "a", "b"} {
				got.WriteByte("-+"[btoi(size(f, name))])
			}
			require.Equal(t, c.want, got.String())
			require.Equal(t, strings.Count(c.want, "-"), f.Injected())
			f.Clear()
			require.True(t, size(f, "b"))
			require.Equal(t, 6, f.Calls(faultfs.OpSize))
		})
	}
}

func isB(name string) bool { return name == "b" }

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestEveryRuleCountsEveryCall(t *testing.T) {
	f, _ := fresh(t)
	f.Inject(faultfs.Rule{Nth: 1, Err: syscall.EIO})
	f.Inject(faultfs.Rule{Nth: 2, Err: syscall.ENOSPC})
	require.ErrorIs(t, f.SyncDir(""), syscall.EIO)
	require.ErrorIs(t, f.SyncDir(""), syscall.ENOSPC)
	require.NoError(t, f.SyncDir(""))
	require.Equal(t, 2, f.Injected())
}

func TestARenameMatchesByEitherName(t *testing.T) {
	for _, name := range []string{"old", "new"} {
		f, disk := fresh(t)
		f.Inject(faultfs.Rule{Op: faultfs.OpRename, Match: func(s string) bool { return s == name }})
		require.ErrorIs(t, f.Rename("old", "new"), syscall.EIO)
		require.Equal(t, []string{"old"}, disk.Names())
	}
}

func TestAShortWriteWritesHalf(t *testing.T) {
	f, disk := fresh(t)
	h, err := f.Create("a")
	require.NoError(t, err)
	f.Inject(faultfs.Rule{Op: faultfs.OpWrite, ShortWrite: true})
	n, err := h.WriteAt([]byte("12345678"), 0)
	require.ErrorIs(t, err, syscall.EIO)
	require.Equal(t, 4, n)
	data, err := disk.ReadFile("a")
	require.NoError(t, err)
	require.Equal(t, "1234", string(data))
}

func TestAFailedSyncLosesTheDataForGood(t *testing.T) {
	f, disk := fresh(t)
	outer := faultfs.New(f) // passed on through any number of wrappers
	h, err := outer.Create("a")
	require.NoError(t, err)
	require.NoError(t, outer.SyncDir(""))
	_, err = h.WriteAt([]byte("data"), 0)
	require.NoError(t, err)
	outer.Inject(faultfs.Rule{Op: faultfs.OpSync})
	require.ErrorIs(t, h.Sync(), syscall.EIO)
	require.NoError(t, h.Sync(), "the next one succeeds")
	data, err := disk.PowerLossStrict().ReadFile("a")
	require.NoError(t, err)
	require.Empty(t, data)

	outer.Inject(faultfs.Rule{Op: faultfs.OpSyncDir})
	_, err = outer.Create("b")
	require.NoError(t, err)
	require.ErrorIs(t, outer.SyncDir(""), syscall.EIO)
	require.NoError(t, outer.SyncDir(""))
	require.NotContains(t, disk.PowerLossStrict().Names(), "b")
}
