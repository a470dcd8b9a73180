package manifest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// crashRun drives one log over a crashing file system and knows, at every
// moment, which states a crash may leave.
type crashRun struct {
	t      *testing.T
	work   *workload
	wal    fakeWAL
	disk   *crashfs.FS
	log    *Log
	random *rand.Rand

	synced  Position // Sync has returned for it
	created bool     // Create has returned once
	copying bool     // a rewrite is running, its appends come from the file system

	parted    int // images with marks of a transaction and not the rest of it
	forgotten int // vectors that were left out
	images    int
	behind    int // images that held less than what was appended
	inRewrite int
}

// verify loads an image and holds the result against what was promised: the
// state after a prefix of the transactions, with every synced one, and none
// that the write-ahead log is not durable for.
func (c *crashRun) verify(image *crashfs.FS, what string) {
	c.images++
	state, info, err := Load(image, testDir)
	if errors.Is(err, ErrNoStore) {
		require.False(c.t, c.created, "%s: the store is gone", what)
		return
	}
	require.NoError(c.t, err, what)
	k, known := c.work.states[fingerprint(state)]
	require.True(c.t, known, "%s: %s holds a state that never was: %v", what, info.Name, state)
	require.GreaterOrEqual(c.t, k, c.synced, "%s: a synced transaction is gone", what)
	require.LessOrEqual(c.t, uint64(c.work.needs[k]), c.wal.durable.Load(), "%s: the manifest is ahead of the log", what)
	if k < c.work.last {
		c.behind++
	}
	if c.work.needs[k] == c.work.needs[min(k+1, c.work.last)] && k < c.work.last {
		c.parted++
	}
	c.forgotten += info.Forgotten
	if c.copying {
		c.inRewrite++
	}
	noOpenFiles(c.t, image)
}

// crashHere verifies images of a crash at this moment.
func (c *crashRun) crashHere(what string) {
	c.verify(c.disk.PowerLossStrict(), what+", nothing unsynced survives")
	c.verify(c.disk.PowerLossAll(), what+", everything survives")
	for range 4 {
		c.verify(c.disk.PowerLoss(c.random), what+", some survives")
	}
}

func (c *crashRun) append() Position {
	t, need := c.work.next()
	return c.log.Append(t, need)
}

func (c *crashRun) sync(p Position) {
	require.NoError(c.t, c.log.Sync(p))
	c.synced = max(c.synced, p)
}

// before runs ahead of each mutating call: it crashes here, and while a rewrite
// runs it plays the foreground, which appends and syncs between the rewrite's
// steps.
func (c *crashRun) before(op, name string) {
	if c.copying && op != "rename" && op != "syncdir" {
		c.log.mu.Lock()
		busy := c.log.mu.writing // the switch: a Sync would wait for it
		target := path.Base(name) != ids.ManifestName(c.log.mu.number)
		c.log.mu.Unlock()
		if target && c.random.IntN(2) == 0 {
			p := c.append()
			if !busy && c.random.IntN(2) == 0 {
				c.copying = false // its own calls must not come here again
				c.sync(p)
				c.copying = true
			}
		}
	}
	c.crashHere(fmt.Sprintf("before %s of %s", op, path.Base(name)))
}

// testMarksBytes lets one or two vectors go ahead of a transaction at a time.
const testMarksBytes = 100

// create makes the log, which parts transactions early.
func (c *crashRun) create(fsys vfs.FS, state *State, first ids.FileNum) (*Log, error) {
	log, err := Create(fsys, testDir, state, c.options(first))
	if err == nil {
		log.marksBytes, c.work.marksBytes = testMarksBytes, testMarksBytes
	}
	return log, err
}

func (c *crashRun) options(first ids.FileNum) Options {
	return Options{NextFile: fileNumbers(first), WaitDurable: c.wal.sync}
}

// TestLogSurvivesPowerLossAtEveryCall crashes ahead of every mutating call of
// runs of create, append, sync, rewrite under traffic, close and reopen.
func TestLogSurvivesPowerLossAtEveryCall(t *testing.T) {
	images, behind, inRewrite, parted, forgotten := 0, 0, 0, 0, 0
	for seed := range uint64(12) {
		c := &crashRun{t: t, work: newWorkload(seed), disk: crashfs.New(), random: rand.New(rand.NewPCG(seed, 2))}
		require.NoError(t, c.disk.MkdirAll(testDir))
		require.NoError(t, c.disk.SyncDir("."))
		fsys := watchFS{FS: c.disk, before: c.before}
		state := clone(c.work.model)
		for life := range 3 {
			log, err := c.create(fsys, state, ids.FileNum(1+10*life))
			require.NoError(t, err)
			c.log, c.created = log, true
			c.crashHere("after create")
			for range 10 {
				switch c.random.IntN(6) {
				case 0, 1, 2:
					c.append()
				case 3, 4:
					c.sync(c.work.last)
				case 5:
					c.copying = true
					require.NoError(t, log.Rewrite())
					c.copying = false
					c.synced = max(c.synced, log.Durable())
				}
			}
			c.crashHere("before close")
			require.NoError(t, log.Close())
			c.synced = c.work.last
			c.crashHere("after close")
			noOpenFiles(t, c.disk)

			state, _, err = Load(c.disk, testDir)
			require.NoError(t, err)
			require.Equal(t, fingerprint(c.work.model), fingerprint(state))
			c.work.adopt(state)
			c.synced = 0
		}
		images, behind, inRewrite = images+c.images, behind+c.behind, inRewrite+c.inRewrite
		parted, forgotten = parted+c.parted, forgotten+c.forgotten
	}
	require.Greater(t, images, 5000)
	require.Greater(t, behind, 500, "no crash ever lost an unsynced transaction")
	require.Greater(t, inRewrite, 500, "no crash ever hit a rewrite")
	require.Greater(t, parted, 20, "no crash ever parted marks from their transaction")
	require.Greater(t, forgotten, 1000, "no vector was ever without its node or table")
}

// script is a fixed run for TestLogRecoversAfterDeathAtEveryCall.
func (c *crashRun) script() error {
	state, _, err := Load(c.disk, testDir)
	if errors.Is(err, ErrNoStore) {
		state, err = clone(c.work.model), nil
	}
	if err != nil {
		return err
	}
	log, err := c.create(c.disk, state, 1)
	if err != nil {
		return err
	}
	c.log, c.created = log, true
	defer log.Close()
	for i := range 6 {
		c.append()
		c.append()
		if err := log.Sync(c.work.last); err != nil {
			return err
		}
		c.synced = c.work.last
		c.append()
		if i%3 == 1 {
			if err := log.Rewrite(); err != nil {
				return err
			}
			c.synced = c.work.last
		}
	}
	return log.Close()
}

// TestLogRecoversAfterDeathAtEveryCall kills the process at every mutating
// call, also in the middle of a write, recovers from what is left, kills the
// recovery at every call too, and goes on.
func TestLogRecoversAfterDeathAtEveryCall(t *testing.T) {
	start := func(seed uint64) *crashRun {
		c := &crashRun{t: t, work: newWorkload(3), disk: crashfs.New(), random: rand.New(rand.NewPCG(seed, 3))}
		require.NoError(t, c.disk.MkdirAll(testDir))
		require.NoError(t, c.disk.SyncDir("."))
		return c
	}
	whole := start(0)
	before := whole.disk.Mutations()
	require.NoError(t, whole.script())
	calls := whole.disk.Mutations() - before

	torn, recoveries := 0, 0
	for n := 1; n <= calls; n++ {
		for seed := range uint64(3) {
			c := start(uint64(n)*10 + seed)
			c.disk.SetSeed(seed)
			c.disk.KillAt(n)
			err := c.script()
			if err == nil {
				continue // died in a removal, whose failure does not matter
			}
			require.ErrorIs(t, err, crashfs.ErrKilled)
			noOpenFiles(t, c.disk)
			for _, image := range []*crashfs.FS{c.disk.AfterKill(), c.disk.PowerLoss(c.random)} {
				what := fmt.Sprintf("killed at call %d of %d", n, calls)
				c.verify(image, what)
				state, info, err := Load(image, testDir)
				if errors.Is(err, ErrNoStore) {
					continue
				}
				require.NoError(t, err)
				if info.TornOffset >= 0 {
					torn++
				}
				seen, promised := c.work.states[fingerprint(state)], c.synced
				for at := 1; ; at++ {
					again := image.AfterKill()
					again.SetSeed(seed)
					again.KillAt(at)
					log, err := Create(again, testDir, clone(state), c.options(50))
					if err == nil && !again.Killed() {
						if err := log.Close(); err != nil {
							require.ErrorIs(t, err, crashfs.ErrKilled)
							continue
						}
						require.Equal(t, 1, strings.Count(strings.Join(again.Names(), " "), "MANIFEST-"), "old manifests stay")
						noOpenFiles(t, again)
						break
					}
					if err == nil {
						c.synced = seen // what recovery found is durable now
						_ = log.Close()
					}
					c.verify(again.PowerLoss(c.random), what+" and again in recovery")
					c.verify(again.AfterKill(), what+" and again in recovery")
					recoveries++
					c.synced = promised
				}
			}
		}
	}
	require.Greater(t, torn, 5, "no torn tail was ever seen")
	require.Greater(t, recoveries, 500)
}
