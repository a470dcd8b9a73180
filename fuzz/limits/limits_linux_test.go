package limits

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
)

func TestMoreTablesThanDescriptors(t *testing.T) { inChild(t, "descriptors") }

// Where a mount is permitted the real file system is demanded. Elsewhere the disk in
// memory stands in for it, and the log says so.
func TestASmallDisk(t *testing.T) {
	if out, err := startChild("may-mount", t.TempDir(), mountNamespace()); err != nil {
		if !strings.Contains(out, ErrNoMount.Error()) {
			require.ErrorIs(t, err, os.ErrPermission, "what else is wrong is no reason to try less")
		}
		t.Logf("NOT TRIED on a real file system, but in memory, for none can be mounted here: %v\n%s", err, out)
		counts := fuzz.NewCounts()
		require.NoError(t, Full().Repeat(100, 2, counts))
		t.Logf("met:\n%s", counts)
		require.Empty(t, counts.Missing(map[string]int{"full: the disk": 2, "resumed": 40}))
		return
	}
	out, err := startChild("mount", t.TempDir(), mountNamespace())
	require.NoError(t, err, out)
	t.Logf("met:\n%s", out)
	for _, state := range []string{"1 mounted", "3 disks filled", "3 drops on a full disk", "3 resumed"} {
		require.Contains(t, out, state)
	}
}
