package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// What keeps the log from being trimmed may have been written long ago, by a fork
// that has written nothing since.
func TestTheLogIsKeptForWhatIsOnlyInIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		write  func(t *testing.T, s *engine.Store)
		reopen bool // before the log is trimmed
	}{
		{"an idle fork holds the row in its memtable", func(t *testing.T, s *engine.Store) {
			idle, err := fork(t, s, engine.MainFork).Fork("idle")
			require.NoError(t, err)
			require.NoError(t, idle.Set([]byte("x"), []byte("1")))
		}, false},
		{"a memtable that was recovered holds the row, and one that was written long after", func(t *testing.T, s *engine.Store) {
			idle, err := fork(t, s, engine.MainFork).Fork("idle")
			require.NoError(t, err)
			require.NoError(t, idle.Set([]byte("x"), []byte("1")))
			makeNoise(t, s)
			require.NoError(t, idle.Set([]byte("y"), []byte("2")))
		}, true},
		{"a memtable that was frozen by a fork holds the row", func(t *testing.T, s *engine.Store) {
			require.NoError(t, fork(t, s, engine.MainFork).Set([]byte("x"), []byte("1")))
			_, err := fork(t, s, engine.MainFork).Fork("idle")
			require.NoError(t, err)
		}, false},
		{"a row of a frozen memtable, which was written long before it was frozen", func(t *testing.T, s *engine.Store) {
			f := fork(t, s, engine.MainFork)
			require.NoError(t, f.Set([]byte("x"), []byte("1")))
			makeNoise(t, s)
			_, err := f.Fork("idle")
			require.NoError(t, err)
		}, false},
		{"only a snapshot reaches the row", func(t *testing.T, s *engine.Store) {
			child, err := fork(t, s, engine.MainFork).Fork("child")
			require.NoError(t, err)
			require.NoError(t, child.Set([]byte("x"), []byte("1")))
			kept, err := child.Snapshot("kept")
			require.NoError(t, err)
			require.NoError(t, child.Drop())
			_, err = kept.Fork("idle")
			require.NoError(t, err)
		}, false},
		{"a consolidated memtable holds the row", func(t *testing.T, s *engine.Store) {
			f := fork(t, s, engine.MainFork)
			require.NoError(t, f.Set([]byte("x"), []byte("1")))
			for i := range 12 {
				f, err := f.Fork(fmt.Sprint("link", i))
				require.NoError(t, err)
				makeNoise(t, s)
				require.NoError(t, f.Drop())
				require.NoError(t, fork(t, s, engine.MainFork).Set(fmt.Append(nil, "y", i), []byte("2")))
			}
			_, err := f.Fork("idle")
			require.NoError(t, err)
			require.NoError(t, s.Compact())
			require.Positive(t, s.Stats().Consolidations)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := crashfs.New()
			s := open(t, "/db", small(disk))
			_, err := fork(t, s, engine.MainFork).Snapshot("empty")
			require.NoError(t, err)
			c.write(t, s)
			makeNoise(t, s)
			if c.reopen {
				require.NoError(t, s.Close())
				s = open(t, "/db", small(disk))
			}
			require.NoError(t, s.Compact()) // trims
			s = open(t, "/db", small(disk.PowerLossAll()))
			v, err := fork(t, s, "idle").Get([]byte("x"))
			require.NoError(t, err)
			require.Equal(t, "1", string(v))
		})
	}
}

// makeNoise fills some segments of the log with what nobody needs.
func makeNoise(t *testing.T, s *engine.Store) {
	empty, err := s.Snapshot("empty")
	require.NoError(t, err)
	noise, err := empty.Fork("noise") // freezes nothing
	require.NoError(t, err)
	for range 20 {
		require.NoError(t, noise.Set([]byte("n"), []byte(strings.Repeat("n", 2000)), engine.NoSync))
	}
	require.NoError(t, noise.Drop())
}

// A drop makes garbage at once, and only what is durable makes it go: at every
// call of what follows power is lost, in ways in which unlinks survive and log or
// manifest do not.
func TestNoFileGoesBeforeTheManifestThatAllowsIt(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", small(disk))
	main := fork(t, s, engine.MainFork)
	require.NoError(t, main.Set([]byte("a"), []byte("1")))
	child, err := main.Fork("child")
	require.NoError(t, err)
	require.NoError(t, s.Flush())
	require.NoError(t, child.Set([]byte("b"), []byte("2")))
	require.NoError(t, s.Flush())

	rng := rand.New(rand.NewPCG(1, 2))
	var images []*crashfs.FS
	tables := len(tableFiles(disk))
	disk.OnMutation(func(int) {
		for range 6 {
			images = append(images, disk.PowerLoss(rng))
		}
		images = append(images, disk.PowerLossStrict(), disk.AfterKill())
	})
	require.NoError(t, child.Drop(engine.NoSync))
	require.NoError(t, s.Compact())
	require.NoError(t, main.Set([]byte("c"), []byte("3")))
	disk.OnMutation(nil)
	require.Less(t, len(tableFiles(disk)), tables, "a file is gone")
	require.Greater(t, len(images), 8*4)
	atRisk := 0 // images in which the child lives
	for i, image := range images {
		report, err := engine.Check("/db", engine.CheckOptions{FS: image})
		require.NoError(t, err, "image %d", i)
		require.True(t, report.OK(), "image %d: %+v", i, report)
		atRisk += report.Forks - 1
		s, err := engine.Open("/db", small(image))
		require.NoError(t, err, "image %d", i)
		v, err := fork(t, s, engine.MainFork).Get([]byte("a"))
		require.NoError(t, err, "image %d", i)
		require.Equal(t, "1", string(v))
		require.NoError(t, s.Verify(), "image %d", i)
		require.NoError(t, s.Close())
	}
	require.Positive(t, atRisk)
	require.Less(t, atRisk, len(images))
}
