package picture

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
)

func TestSizeAndCount(t *testing.T) {
	require.Equal(t, "0 B", Size(0))
	require.Equal(t, "1023 B", Size(1023))
	require.Equal(t, "1.0 KiB", Size(1024))
	require.Equal(t, "1.5 MiB", Size(3<<19))
	require.Equal(t, "16777216.0 TiB", Size(^uint64(0)), "no unit above")
	require.Equal(t, "999", Count(999))
	require.Equal(t, "1,000", Count(1000))
	require.Equal(t, "-1,234,567", Count(-1234567))
	require.Equal(t, "-123", Count(-123))
}

func TestForksAreDrawnBelowTheirParents(t *testing.T) {
	forks := []engine.ForkInfo{
		{ID: 2, Name: "a", Parent: "main", ParentID: 1, TableSizes: engine.TableSizes{ReferencedBytes: 2048}},
		{ID: 4, Name: "aa", Parent: "a", ParentID: 2, MemtableBytes: 7},
		{ID: 3, Name: "b", Parent: "main", ParentID: 1, TableSizes: engine.TableSizes{ExclusiveBytes: 5}},
		{ID: 1, Name: "main"},
		{ID: 9, Name: "orphan", Parent: "", ParentID: 8},
	}
	var b strings.Builder
	require.NoError(t, Forks(&b, forks, 0))
	require.Equal(t, `main  0 B, 0 B of its own
├─ a  2.0 KiB, 0 B of its own
│  └─ aa  0 B, 0 B of its own, 7 B in memory
└─ b  0 B, 5 B of its own
orphan  0 B, 0 B of its own
`, b.String())
	b.Reset()
	require.NoError(t, Forks(&b, forks, 1))
	require.Contains(t, b.String(), "└─ … 1 more\n")
}

func TestDeepTreeIsCutAndCounted(t *testing.T) {
	var forks []engine.ForkInfo
	for i := uint64(1); i <= 100_000; i++ {
		f := engine.ForkInfo{ID: i, Name: "f", ParentID: i - 1}
		if i > 1 {
			f.Parent = "f"
		}
		forks = append(forks, f)
	}
	var b strings.Builder
	require.NoError(t, Forks(&b, forks, 0))
	require.Equal(t, deepest+1, strings.Count(b.String(), "\n"))
	require.Contains(t, b.String(), "… 99,950 forks further down")
}

func TestColumnsAreAsWideAsTheirWidestCell(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Table(&b, [][]string{{"NAME", "N"}, {"ä", "10"}, {"longer", ""}}))
	require.Equal(t, "NAME    N\nä       10\nlonger\n", b.String())
}
