package limits

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz"
)

func TestMoreTablesThanDescriptors(t *testing.T) { inChild(t, "descriptors") }

// Where nothing may be mounted, the disk in memory stands in for a real one, and a
// counter says so.
func TestASmallDisk(t *testing.T) {
	out, err := startChild("mount", t.TempDir(), mountNamespace())
	if err == nil {
		t.Logf("met:\n%s", out)
		require.Contains(t, out, "3 resumed")
		require.Contains(t, out, "3 drops on a full disk")
		return
	}
	if !strings.Contains(out, ErrNoMount.Error()) && !strings.Contains(err.Error(), "operation not permitted") {
		require.NoError(t, err, out)
	}
	counts := fuzz.NewCounts()
	counts.Add("small disks that could not be mounted", 1)
	require.NoError(t, Full().Repeat(100, 2, counts))
	t.Logf("met:\n%s", counts)
}
