package engine_test

import (
	"bytes"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

func logOptions(disk *crashfs.FS) *engine.Options {
	return &engine.Options{
		FS: disk, MemtableBytes: 1 << 30, SegmentBytes: 16 << 10, MaxLogBytes: 8 * 16 << 10, TableBytes: 64 << 10,
	}
}

func logBytes(t *testing.T, disk *crashfs.FS) (total int64) {
	for _, name := range disk.Names() {
		if size, err := disk.Size(name); isLog(name) && err == nil { // it may have been trimmed meanwhile
			total += size
		}
	}
	return total
}

// A hundred forks have written one row each, one fork goes on writing: a hundred times
// what the log may hold.
func TestColdForksDoNotMakeTheLogLonger(t *testing.T) {
	disk := crashfs.New()
	o := logOptions(disk)
	s := open(t, "/db", o)
	main := fork(t, s, engine.MainFork)
	for n := range 100 {
		f, err := main.Fork(fmt.Sprint("cold-", n), engine.NoSync)
		require.NoError(t, err)
		require.NoError(t, f.Set([]byte("row"), fmt.Append(nil, n), engine.NoSync))
	}
	value := bytes.Repeat([]byte("x"), 1000)
	for i := range 3000 {
		require.NoError(t, main.Set(fmt.Append(nil, i%500), append(value, fmt.Append(nil, i)...), engine.NoSync))
		if i%10 == 0 {
			require.LessOrEqual(t, logBytes(t, disk), o.MaxLogBytes)
		}
	}
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
	require.Less(t, s.Stats().Files, 20, "the cold ones share files")
	crashed := disk.AfterKill()
	again := open(t, "/db", logOptions(crashed))
	for n := range 100 {
		got, err := fork(t, again, fmt.Sprint("cold-", n)).Get([]byte("row"))
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(n), string(got))
	}
}

// The bound holds for many writers at once, but for a record of each.
func TestManyWritersKeepTheBoundTogether(t *testing.T) {
	disk := crashfs.New()
	o := logOptions(disk)
	s := open(t, "/db", o)
	var wg sync.WaitGroup
	for g := range 4 {
		f, err := fork(t, s, engine.MainFork).Fork(fmt.Sprint(g))
		require.NoError(t, err)
		wg.Go(func() {
			for i := range 400 {
				if err := f.Set(fmt.Append(nil, i), bytes.Repeat([]byte("y"), 2000), engine.NoSync); err != nil {
					t.Error(err)
				}
				if most := o.MaxLogBytes + 2*o.SegmentBytes; logBytes(t, disk) > most {
					t.Errorf("the log has more than %d bytes", most)
					return
				}
			}
		})
	}
	wg.Wait()
	require.NoError(t, s.Settle())
	require.NoError(t, s.Verify())
}

// What a flush gives back may be used by others before a writer that waited comes to
// look: it goes on, or waits again, but it does not fail.
func TestNobodyFailsAtTheBoundBecauseOthersWereQuicker(t *testing.T) {
	for range 5 {
		s := open(t, "/db", logOptions(crashfs.New()))
		var wg sync.WaitGroup
		for g := range 64 {
			f, err := fork(t, s, engine.MainFork).Fork(fmt.Sprint(g))
			require.NoError(t, err)
			wg.Go(func() {
				for i := range 50 {
					if err := f.Set(fmt.Append(nil, i), bytes.Repeat([]byte("y"), 2000), engine.NoSync); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		require.NoError(t, s.Close())
	}
}

func TestARecordLargerThanTheBoundIsWrittenAllTheSame(t *testing.T) {
	disk := crashfs.New()
	o := logOptions(disk)
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	for i := range 5 {
		require.NoError(t, f.Set([]byte("large"), bytes.Repeat([]byte{byte(i)}, int(2*o.MaxLogBytes)), engine.NoSync))
		require.NoError(t, f.Set([]byte("small"), []byte{byte(i)}))
	}
	require.NoError(t, s.Settle())
	require.Less(t, logBytes(t, disk), 3*o.MaxLogBytes)
}

// When memory cannot be written to tables, commits fail at the bound and say why; those
// that were acknowledged are safe, and all goes on once tables can be written.
func TestWritersAreToldWhyTheLogCannotBeTrimmed(t *testing.T) {
	disk := crashfs.New()
	faults := faultfs.New(disk)
	o := logOptions(disk)
	o.FS = faults
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	faults.Inject(faultfs.Rule{Op: faultfs.OpCreate, Match: isTable, Sticky: true, Err: syscall.EIO})
	value := bytes.Repeat([]byte("x"), 1000)
	var failed error
	acknowledged := 0
	for failed == nil && acknowledged < 10000 {
		if failed = f.Set(fmt.Append(nil, acknowledged), value, engine.NoSync); failed == nil {
			acknowledged++
		}
	}
	require.ErrorIs(t, failed, syscall.EIO)
	require.ErrorContains(t, failed, "bound")
	require.LessOrEqual(t, logBytes(t, disk), o.MaxLogBytes+o.SegmentBytes)
	_, err := f.Fork("more")
	require.NoError(t, err, "what costs a few bytes goes on")
	require.NoError(t, fork(t, s, "more").Drop())

	faults.Clear()
	require.NoError(t, s.Flush())
	require.Eventually(t, func() bool {
		err := f.Set([]byte("again"), value)
		return err == nil
	}, 30*time.Second, time.Millisecond)
	for i := range acknowledged {
		_, err := f.Get(fmt.Append(nil, i))
		require.NoError(t, err)
	}
	require.NoError(t, s.Settle())
	require.LessOrEqual(t, logBytes(t, disk), o.MaxLogBytes)
}

func TestTheBoundIsNeverLessThanTheLogNeeds(t *testing.T) {
	disk := crashfs.New()
	o := logOptions(disk)
	o.MaxLogBytes = 1
	s := open(t, "/db", o)
	f := fork(t, s, engine.MainFork)
	for i := range 500 {
		require.NoError(t, f.Set(fmt.Append(nil, i), bytes.Repeat([]byte("x"), 1000), engine.NoSync))
	}
	require.NoError(t, s.Settle())
	require.LessOrEqual(t, logBytes(t, disk), 7*o.SegmentBytes)
}

// Forks and names fill the log as rows do.
func TestForksDoNotMakeTheLogLonger(t *testing.T) {
	for name, write := range map[string]func(f *engine.Fork, i int) error{
		"forks":     func(f *engine.Fork, i int) error { return second(f.Fork(fmt.Sprint("fork-", i), engine.NoSync)) },
		"snapshots": func(f *engine.Fork, i int) error { return second(f.Snapshot(fmt.Sprint("snap-", i), engine.NoSync)) },
		"forks, a hundred at once": func(f *engine.Fork, i int) error {
			names := make([]string, 100)
			for n := range names {
				names[n] = fmt.Sprintf("fork-%d-%d", i, n)
			}
			if i >= 200 {
				return nil
			}
			return second(f.ForkMany(names, engine.NoSync))
		},
		"renames": func(f *engine.Fork, i int) error { return f.Rename(fmt.Sprint("name-", i), engine.NoSync) },
		"resets":  func(f *engine.Fork, _ int) error { return f.Reset(f, engine.NoSync) },
	} {
		t.Run(name, func(t *testing.T) {
			disk := crashfs.New()
			o := logOptions(disk)
			s := open(t, "/db", o)
			main := fork(t, s, engine.MainFork)
			for i := range 5000 {
				require.NoError(t, write(main, i))
				if i%10 == 0 {
					require.LessOrEqual(t, logBytes(t, disk), o.MaxLogBytes)
				}
			}
			require.NoError(t, s.Settle())
			require.NoError(t, s.Verify())
		})
	}
}

// Each kill ends a segment that holds next to nothing. Their room counts, and they go
// before anybody is refused.
func TestSegmentsThatWereEndedEarlyMakeRoom(t *testing.T) {
	disk := crashfs.New()
	for n := range 20 {
		s := open(t, "/db", logOptions(disk))
		require.NoError(t, fork(t, s, engine.MainFork).Set(fmt.Append(nil, n), []byte("row")), "open %d", n)
		require.LessOrEqual(t, logBytes(t, disk), logOptions(disk).MaxLogBytes, "open %d", n)
		crashed := disk.AfterKill()
		require.NoError(t, s.Close())
		disk = crashed
	}
	s := open(t, "/db", logOptions(disk))
	for n := range 20 {
		_, err := fork(t, s, engine.MainFork).Get(fmt.Append(nil, n))
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
}
