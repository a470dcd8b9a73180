package vfs

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// preparedPages makes a mapped file of some pages and counts those that are made ready.
func preparedPages(t *testing.T, pages int) (m *mapping, made *int) {
	f, err := os.Create(filepath.Join(t.TempDir(), "a"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	require.NoError(t, f.Truncate(int64(pages*pageBytes)))
	m = newMapping(f, pages*pageBytes)
	if m == nil {
		t.Skip("the system makes no pages ready")
	}
	t.Cleanup(m.end)
	m.ready = span{}
	made = new(int)
	m.prepare = func(b []byte) error {
		require.Zero(t, len(b)%pageBytes)
		*made += len(b) / pageBytes
		return populate(b)
	}
	return m, made
}

func TestPagesAreMadeReadyOnceBeforeTheyAreStoredTo(t *testing.T) {
	m, made := preparedPages(t, 10)
	record := make([]byte, 100)
	for at := 0; at+100 <= 3*pageBytes; at += 100 {
		require.True(t, m.store(record, int64(at)))
	}
	require.Equal(t, 3, *made)
	require.True(t, m.store(record, int64(3*pageBytes-50)), "over the border to one that is not ready")
	require.Equal(t, 4, *made)
	*made = 3
	m.ready = span{}
	require.True(t, m.store(record, int64(5*pageBytes-50)), "over the border of pages that do not follow")
	require.Equal(t, 5, *made)
	require.True(t, m.store(record, int64(4*pageBytes)))
	require.True(t, m.store(record, int64(10*pageBytes-100)))
	require.Equal(t, 6, *made)
	require.False(t, m.store(record, int64(10*pageBytes-99)), "behind the end")
	require.Equal(t, 6, *made)
}

func TestPagesAreMadeReadyAgainAfterASync(t *testing.T) {
	m, made := preparedPages(t, 2)
	require.True(t, m.store([]byte("a"), 0))
	m.beginSync()
	for range 2 * callsBehindSync {
		require.False(t, m.store([]byte("b"), 0), "the page may be on its way to the disk")
	}
	m.beginSync()
	m.endSync()
	for range 2 * callsBehindSync {
		require.False(t, m.store([]byte("b"), 0), "another sync is under way")
	}
	m.endSync()
	require.Equal(t, 1, *made)
	require.True(t, m.store([]byte("c"), 0))
	require.Equal(t, 2, *made)
	require.Equal(t, byte('c'), m.bytes[0])
}

func TestAPageThatCannotBeMadeReadyIsNotStoredTo(t *testing.T) {
	m, _ := preparedPages(t, 2)
	m.prepare = func([]byte) error { return errors.New("no page") }
	require.False(t, m.store([]byte("a"), 0))
	require.Zero(t, m.bytes[0])
}

func TestAFileKnowsThatItIsSynced(t *testing.T) {
	file, err := OS.Create(filepath.Join(t.TempDir(), "a"))
	require.NoError(t, err)
	defer file.Close()
	require.NoError(t, file.Preallocate(int64(pageBytes)))
	file.Map(int64(pageBytes))
	m := file.(*osFile).shared
	if m == nil {
		t.Skip("the system makes no pages ready")
	}
	require.NotZero(t, m.ready)
	require.NoError(t, file.Sync())
	require.Zero(t, m.ready)
	require.Zero(t, m.syncs)
}

func TestTheFirstWritesAfterASyncAreCalls(t *testing.T) {
	m, made := preparedPages(t, 2)
	for range 3 {
		m.beginSync()
		m.endSync()
		for range callsBehindSync {
			require.False(t, m.store([]byte("a"), 0), "somebody may sync after each few writes")
		}
	}
	require.Zero(t, *made)
	require.True(t, m.store([]byte("b"), 1))
	require.True(t, m.store([]byte("c"), 2))
	require.Equal(t, 1, *made)
}
