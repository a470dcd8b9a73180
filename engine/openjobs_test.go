package engine_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// A store that is opened with much in its log begins to flush at once. What it
// writes is named nowhere until the flush is installed, and looks like an orphan
// up to then: here for as long as the open takes.
func TestAnOpenRemovesNoFileOfItsOwnJobs(t *testing.T) {
	disk := crashfs.New()
	s := open(t, "/db", &engine.Options{FS: disk, Manual: true})
	f := fork(t, s, engine.MainFork)
	want := map[string]string{}
	for i := range 300 {
		k, v := fmt.Sprintf("k%03d", i), fmt.Sprintf("%0100d", i)
		require.NoError(t, f.Set([]byte(k), []byte(v), engine.NoSync))
		want[k] = v
	}
	killed := disk.AfterKill()

	written, opened := make(chan struct{}), make(chan struct{})
	var once sync.Once
	o := &engine.Options{FS: killed, MemtableBytes: 1 << 10}
	o.Schedule = schedule.New(0, func(p schedule.Point) {
		if p == schedule.FlushWritten {
			once.Do(func() { close(written) })
			<-opened
		}
	})
	s = open(t, "/db", o)
	release := sync.OnceFunc(func() { close(opened) })
	t.Cleanup(release) // before the store is closed
	<-written
	require.Empty(t, s.Stats().Tables)
	require.NotEmpty(t, tableFiles(killed))
	release()
	require.NoError(t, s.Settle())
	require.NoError(t, s.Flush())
	require.NotEmpty(t, s.Stats().Tables)
	require.NoError(t, s.Verify())
	require.NoError(t, same(fork(t, s, engine.MainFork), want))
	require.NoError(t, s.Close())
}
