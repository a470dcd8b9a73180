package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/internal/vfs/faultfs"
)

// A pack may hold thousands of tables: an open asks for its length once.
func TestAnOpenAsksForTheLengthOfAFileOnce(t *testing.T) {
	disk := crashfs.New()
	s := openPack(t, packOptions(disk))
	require.NoError(t, s.Close())
	faults := faultfs.New(disk)
	o := packOptions(disk)
	o.FS = faults
	asked := 0
	faults.Inject(faultfs.Rule{Op: faultfs.OpSize, Match: func(name string) bool {
		if isTable(name) {
			asked++
		}
		return false
	}})
	s = open(t, "/db", o)
	require.Equal(t, s.Stats().Files, asked)
	require.NoError(t, checkPack(s, kept()))
}
