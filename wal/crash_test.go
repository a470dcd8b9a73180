package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// script drives a log through everything that writes: groups of all sizes,
// records beyond a segment, rotation, idle marks, trimming, close and a second
// life. It notes what was promised, so that images can be judged at any moment.
type script struct {
	fs      vfs.FS
	files   numbers
	last    ids.LSN // appended
	written ids.LSN // Write returned
	synced  ids.LSN // Sync returned
	trimmed ids.LSN
	rec     *Recovered

	recoveries uint64 // of images; each gets file numbers of its own
}

// run executes steps until the first error, which is expected only once the
// process is dead.
func (s *script) run(seed uint64, lives, steps int) error {
	r := rand.New(rand.NewPCG(seed, 1))
	for range lives {
		var rec *Recovered
		var err error
		if s.last > 0 {
			if _, rec, err = replayed(s.fs, s.trimmed); err != nil {
				return err
			}
			s.last, s.rec = rec.Last, rec
		}
		l, err := Start(s.fs, testDir, rec, s.last+1, quiet(&s.files, 4096))
		if err != nil {
			return err
		}
		if rec != nil {
			s.synced, s.written = max(s.synced, rec.Last), rec.Last
		}
		if err := s.live(l, r, steps); err != nil {
			_ = l.Close()
			return err
		}
		if r.IntN(3) == 0 { // killed: its handles go, and nothing else happens
			for _, segment := range append(l.room.spares, append(l.room.largeSegments, l.cur)...) {
				_ = segment.file.Close()
			}
			continue
		}
		last := s.last
		if err := l.Close(); err != nil {
			return err
		}
		s.synced = last
	}
	return nil
}

func (s *script) live(l *Log, r *rand.Rand, steps int) error {
	for range steps {
		switch x := r.IntN(20); {
		case x < 12:
			size := []int{8, 30, 200, 700, 2500, 6000}[r.IntN(6)]
			p := recordPayload(s.last+1, size)
			if err := l.Reserve(len(p), r.IntN(4) == 0); err != nil {
				return err
			}
			s.last++
			l.Append(s.last, KindDrop, p[:3], p[3:])
		case x < 15:
			if err := l.Write(s.last); err != nil {
				return err
			}
			s.written = s.last
		case x < 18:
			lsn := s.last
			if err := l.Sync(lsn); err != nil {
				return err
			}
			s.synced, s.written = lsn, max(s.written, lsn)
		case x < 19:
			l.markIdle()
			if err := l.Err(); err != nil {
				return err
			}
		default:
			lo := s.synced / 2
			s.trimmed = max(s.trimmed, lo)
			if _, err := l.Trim(lo); err != nil {
				return err
			}
		}
	}
	return nil
}

// verdict replays an image: what comes back is one prefix of what was appended,
// nothing synced is missing, and doing it again after a full recovery gives the
// same.
func verdict(image *crashfs.FS, s *script, floor ids.LSN) (ids.LSN, error) {
	lsns, rec, err := replayed(image, s.trimmed)
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	for i, lsn := range lsns {
		if i > 0 && lsn != lsns[i-1]+1 {
			return 0, fmt.Errorf("record %d follows %d", lsn, lsns[i-1])
		}
	}
	if len(lsns) > 0 && lsns[0] > max(s.trimmed, 1) {
		return 0, fmt.Errorf("first record is %d, trimmed below %d", lsns[0], s.trimmed)
	}
	if rec.Last < floor || rec.Last > s.last {
		return 0, fmt.Errorf("recovered through %d, promised %d, appended %d", rec.Last, floor, s.last)
	}
	return rec.Last, nil
}

// recoverImage does what the engine does after a crash, and appends a record.
func recoverImage(image *crashfs.FS, s *script) (*Recovered, error) {
	_, rec, err := replayed(image, s.trimmed)
	if err != nil {
		return nil, err
	}
	var files numbers
	s.recoveries++
	files.last.Store(s.files.last.Load() + 100*s.recoveries)
	for _, number := range rec.Leftover {
		if err := removeSegment(image, testDir, number); err != nil {
			return nil, err
		}
	}
	_, err = Start(image, testDir, rec, rec.Last+1, quiet(&files, 4096))
	return rec, err
}

func TestEveryCrashLeavesAPrefixWithAllThatWasSynced(t *testing.T) {
	seen := map[string]int{}
	images := 0
	for seed := uint64(1); seed <= 3; seed++ {
		fs := newDir(t)
		s := &script{fs: fs}
		r := rand.New(rand.NewPCG(seed, 2))
		judge := func(image *crashfs.FS, what string, floor ids.LSN) error {
			images++
			last, err := verdict(image, s, floor)
			if err != nil {
				return err
			}
			if last > s.synced {
				seen["kept more than was synced"]++
			}
			if last < s.written {
				seen["lost what was only written"]++
			}
			if images%7 != 0 {
				return nil
			}
			// Crash again inside the recovery, at a call of its own, twice over.
			inner := image.AfterKill()
			inner.KillAt(1 + r.IntN(16))
			inner.SetSeed(r.Uint64())
			if rec, err := recoverImage(inner, s); err == nil {
				seen["recovery ended before the crash"]++
			} else if !errors.Is(err, crashfs.ErrKilled) {
				return fmt.Errorf("recovery: %w", err)
			} else if rec != nil && rec.Torn {
				seen["crash in recovery of a torn log"]++
			}
			for _, next := range []*crashfs.FS{inner.AfterKill(), inner.PowerLoss(r), inner.PowerLossStrict()} {
				images++
				if what == "killed" {
					floor = s.synced // a power loss comes on top
				}
				again, err := verdict(next, s, floor)
				if err != nil {
					return fmt.Errorf("after a crash in recovery: %w", err)
				}
				if what != "killed" && last != again { // a durable image: recovery must not change what it holds
					return fmt.Errorf("recovered through %d, then through %d", last, again)
				}
				if _, err = recoverImage(next, s); err != nil {
					return fmt.Errorf("recovery after a crash in recovery: %w", err)
				}
				third, err := verdict(next.PowerLossStrict(), s, floor)
				if err != nil || again != third {
					return fmt.Errorf("recovered through %d, which a power loss made %d: %v", again, third, err)
				}
			}
			return nil
		}
		var failure error // the hook runs inside the log's calls and must return to them
		check := func(image *crashfs.FS, what string, floor ids.LSN) {
			if failure != nil {
				return
			}
			if err := judge(image, what, floor); err != nil {
				failure = fmt.Errorf("seed %d mutation %d, %s: %w", seed, fs.Mutations(), what, err)
			}
		}
		fs.OnMutation(func(int) {
			floor := s.synced
			check(fs.AfterKill(), "killed", max(floor, s.written))
			check(fs.PowerLossStrict(), "nothing unsynced survives", floor)
			check(fs.PowerLossAll(), "everything survives", max(floor, s.written))
			for range 3 {
				check(fs.PowerLoss(r), "power loss", floor)
			}
		})
		err := s.run(seed, 3, 40)
		require.NoError(t, failure)
		require.NoError(t, err)
		seen["records"] += int(s.last)
		if s.trimmed > 0 {
			seen["trimmed"]++
		}
	}
	t.Logf("%d images, %v", images, seen)
	for _, state := range []string{"kept more than was synced", "lost what was only written", "crash in recovery of a torn log", "recovery ended before the crash", "trimmed"} {
		require.NotZero(t, seen[state], "no image in which: %s", state)
	}
}

// The write that is running when the process dies may leave any prefix.
func TestEveryKillInTheMiddleOfAWriteLeavesAPrefix(t *testing.T) {
	dry := newDir(t)
	require.NoError(t, (&script{fs: dry}).run(3, 3, 50))
	for n := 1; n <= dry.Mutations(); n++ {
		fs := newDir(t)
		s := &script{fs: fs}
		fs.KillAt(n - 2) // newDir made two already
		fs.SetSeed(uint64(n))
		err := s.run(3, 3, 50)
		if !fs.Killed() {
			require.NoError(t, err)
			continue
		}
		require.True(t, err == nil || errors.Is(err, crashfs.ErrKilled), "kill at %d: %v", n, err)
		_, err = verdict(fs.AfterKill(), s, max(s.synced, s.written))
		require.NoError(t, err, "kill at %d", n)
		_, err = verdict(fs.PowerLossStrict(), s, s.synced)
		require.NoError(t, err, "kill at %d, power loss", n)
	}
}
