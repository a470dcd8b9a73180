package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Forks of forks over a base, some with unflushed rows of their own: what a scan
// of each gives, what the changes against one another give, and what a plain walk
// gives is the same.
func TestChangesAndScansGiveTheSameHashes(t *testing.T) {
	disk := crashfs.New()
	s, err := Open("/db", &Options{FS: disk, Manual: true, TableBytes: 4 << 10, BlockBytes: 512, SegmentBytes: 64 << 10})
	require.NoError(t, err)
	rng := rand.New(rand.NewPCG(1, 1))
	f, err := s.Fork(MainFork)
	require.NoError(t, err)
	forks := []*Fork{f}
	models := []map[string]string{{}}
	for i := range 60 {
		at := rng.IntN(len(forks))
		for range rng.IntN(30) {
			key := fmt.Sprintf("key%03d", rng.IntN(200))
			if rng.IntN(3) == 0 {
				require.NoError(t, forks[at].Delete([]byte(key), NoSync))
				delete(models[at], key)
			} else {
				value := fmt.Sprintf("value %d of fork %d", i, at)
				require.NoError(t, forks[at].Set([]byte(key), []byte(value), NoSync))
				models[at][key] = value
			}
		}
		child, err := forks[at].Fork(fmt.Sprintf("f%02d", i))
		require.NoError(t, err)
		model := map[string]string{}
		for k, v := range models[at] {
			model[k] = v
		}
		forks, models = append(forks, child), append(models, model)
		if i%20 == 19 {
			require.NoError(t, s.Flush())
		}
	}
	require.NoError(t, s.Close())

	want := map[string]digest{}
	var buf []byte
	for i, model := range models {
		var d digest
		for k, v := range model {
			d.add(rowDigest(&buf, []byte(k), []byte(v)))
		}
		want[forks[i].Name()] = d
	}
	for _, slack := range []uint64{scanSlack, 0} {
		c, err := newChecker("/db", CheckOptions{FS: disk, Level: CheckDeep})
		require.NoError(t, err)
		c.scanSlack = slack
		require.NoError(t, c.run())
		c.close()
		require.Empty(t, c.report.Problems)
		got := map[string]digest{}
		for _, h := range c.report.Hashes {
			got[h.Name] = digest{h.Hash, h.Rows}
		}
		require.Equal(t, want, got, "slack %d", slack)
	}
}
