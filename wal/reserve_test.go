package wal

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
)

// Records are reserved in one order and appended in another, some are given
// back, and groups end at random: whatever was promised finds its place without
// a file being made for it.
func TestWhatIsReservedFitsInAnyOrder(t *testing.T) {
	rotations, large := 0, 0
	for seed := uint64(1); seed <= 150; seed++ {
		r := rand.New(rand.NewPCG(seed, 5))
		writing := false
		fs := &hookFS{FS: newDir(t)}
		fs.onCreate = func(name string) error {
			require.False(t, writing, "a write creates %s", name)
			return nil
		}
		var files numbers
		l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
		require.NoError(t, err)
		var promised []int
		lsn := ids.LSN(0)
		for range 120 {
			switch x := r.IntN(10); {
			case x < 5:
				size := []int{8, 60, 500, 1100, 1500, 2300, 2416, 2424, 9000}[r.IntN(9)]
				require.NoError(t, l.Reserve(size, seed%2 == 0 || r.IntN(5) == 0))
				promised = append(promised, size)
			case x < 8 && len(promised) > 0:
				i := r.IntN(len(promised))
				size := promised[i]
				promised = append(promised[:i], promised[i+1:]...)
				lsn++
				l.Append(lsn, KindDrop, recordPayload(lsn, size))
				if _, is := l.room.counted(size); is {
					large++
				}
			case x < 9:
				writing = true
				if r.IntN(2) == 0 {
					require.NoError(t, l.Write(lsn))
				} else {
					require.NoError(t, l.Sync(lsn))
					l.markIdle()
				}
				writing = false
			case len(promised) > 0:
				i := r.IntN(len(promised))
				l.Unreserve(promised[i])
				promised = append(promised[:i], promised[i+1:]...)
			}
		}
		for _, size := range promised {
			lsn++
			l.Append(lsn, KindDrop, recordPayload(lsn, size))
		}
		writing = true
		require.NoError(t, l.Sync(lsn))
		writing = false
		require.Zero(t, l.room.promised())
		require.Zero(t, l.room.largeWanted)
		require.Empty(t, l.room.largeSegments)
		rotations += len(l.sealed)
		require.NoError(t, l.Close())
		lsns, rec, err := replayed(fs.FS, 1)
		require.NoError(t, err)
		require.Equal(t, upTo(lsn), lsns)
		require.Empty(t, rec.Leftover, "Close removes unused spares")
	}
	require.Greater(t, rotations, 1000)
	require.Greater(t, large, 500)
}

func TestAFullDiskRefusesOrdinaryRecordsCleanlyAndLeavesASpareToPrivilegedOnes(t *testing.T) {
	mem := newDir(t)
	var files numbers
	l, err := Start(mem, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	mem.SetCapacity(2 * 4096) // the current segment and the spare
	lsn := ids.LSN(0)
	fill := func(privileged bool) (n int) {
		for {
			if err := l.Reserve(100, privileged); err != nil {
				require.ErrorIs(t, err, errs.ErrNoSpace)
				require.NoError(t, l.Err(), "a refusal changes nothing")
				return n
			}
			lsn++
			n++
			l.Append(lsn, KindDrop, recordPayload(lsn, 100))
			require.NoError(t, l.Sync(lsn))
		}
	}
	require.Greater(t, fill(false), 3, "the current segment is used up")
	require.Zero(t, fill(false))
	require.ErrorIs(t, l.Reserve(10000, false), errs.ErrNoSpace)
	require.Len(t, l.room.spares, 1)
	require.Greater(t, fill(true), 3, "privileged records go on in the spare")
	require.Empty(t, l.room.spares)
	require.Zero(t, fill(true))

	// A segment that is trimmed makes room for the spare, and then for more.
	removed, err := l.Trim(lsn + 1)
	require.NoError(t, err)
	require.Equal(t, []ids.FileNum{1}, removed)
	require.Zero(t, fill(false), "the first segment's room is for the privileged spare")
	require.Len(t, l.room.spares, 1)
	mem.SetCapacity(0)
	require.NoError(t, l.Reserve(100, false))
	l.Unreserve(100)
	require.NoError(t, l.Close())
	names, err := mem.List(testDir)
	require.NoError(t, err)
	require.Equal(t, []string{ids.SegmentName(2)}, names, "refusals leave no files behind")
}

func TestOrdinaryRecordsMayNotFollowIntoThePrivilegedSpare(t *testing.T) {
	mem := newDir(t)
	var files numbers
	l, err := Start(mem, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	mem.SetCapacity(2 * 4096)
	lsn := ids.LSN(0)
	for len(l.sealed) == 0 { // privileged records alone move into the spare
		require.NoError(t, l.Reserve(900, true))
		lsn++
		l.Append(lsn, KindDrop, recordPayload(lsn, 900))
		require.NoError(t, l.Write(lsn))
	}
	require.ErrorIs(t, l.Reserve(8, false), errs.ErrNoSpace, "there is room, but it is not theirs")
	require.NoError(t, l.Reserve(8, true))
	l.Unreserve(8)
	require.NoError(t, l.Close())
}

func TestCallersMistakes(t *testing.T) {
	var files numbers
	mem := newDir(t)
	l, err := Start(mem, testDir, nil, 10, quiet(&files, 4096))
	require.NoError(t, err)
	violates := func(f func()) {
		t.Helper()
		defer func() {
			v, ok := recover().(invariant.Violation)
			require.True(t, ok, "%v", v)
		}()
		f()
	}
	require.ErrorIs(t, l.Reserve(MaxPayloadBytes+1, false), ErrTooLarge)
	violates(func() { l.Append(10, KindDrop, []byte("never reserved")) })
	l, err = Start(newDir(t), testDir, nil, 10, quiet(&files, 4096))
	require.NoError(t, err)
	require.NoError(t, l.Reserve(0, false))
	violates(func() { l.Append(9, KindDrop) })
	violates(func() { l.Append(10, kindMark) })
	violates(func() { l.Append(10, 0) })
	l.Append(10, KindDrop)
	violates(func() { _ = l.Sync(11) })
	violates(func() { _ = l.Write(11) })
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	require.True(t, errors.Is(l.Reserve(8, false), ErrClosed))
	require.NoError(t, l.Sync(10), "Close made it durable")
	_, err = l.Trim(1)
	require.ErrorIs(t, err, ErrClosed)
}

func TestALargeRecordBetweenOrdinaryOnesCostsASpare(t *testing.T) {
	fs := newDir(t)
	var files numbers
	l, err := Start(fs, testDir, nil, 1, quiet(&files, 4096))
	require.NoError(t, err)
	require.NoError(t, l.Reserve(2900, true)) // leaves hardly any room in the first segment
	l.Append(1, KindDrop, recordPayload(1, 2900))
	require.NoError(t, l.Write(1))
	require.Len(t, l.room.spares, 1)
	const large = 2*4096 - headerBytes - markFrameBytes - markRoomBytes - framePayload // fills its file
	for _, size := range []int{1000, 1000, large} {
		require.NoError(t, l.Reserve(size, true))
	}
	for i, size := range []int{1000, large, 1000} {
		lsn := ids.LSN(2 + i)
		l.Append(lsn, KindDrop, recordPayload(lsn, size))
	}
	require.NoError(t, l.Sync(4))
	require.Len(t, l.sealed, 3)
	require.NoError(t, l.Close())
	lsns, _, err := replayed(fs, 1)
	require.NoError(t, err)
	require.Equal(t, upTo(4), lsns)
}
