package ids

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryNumberComesBackFromItsName(t *testing.T) {
	for _, n := range []FileNum{0, 1, 999_999, 1_000_000, 123_456_789, math.MaxUint64} {
		for want, name := range map[FileKind]string{FileManifest: ManifestName(n), FileSegment: SegmentName(n), FileTable: TableFileName(n)} {
			kind, got := ParseFileName(name)
			require.Equal(t, want, kind, name)
			require.Equal(t, n, got, name)
		}
	}
}

func TestOtherSpellingsAreOtherFiles(t *testing.T) {
	for _, name := range []string{
		"", "CURRENT", "LOCK", ".wal", "1.wal", "00001.wal", "0000001.wal", "+00001.wal", "-00001.sst", "000001.SST",
		"000001.sst ", " 000001.sst", "000001.sst.tmp", "MANIFEST-", "MANIFEST-1", "MANIFEST-00000x", "manifest-000001",
		"MANIFEST-0000001", "18446744073709551616.wal", "\u0660\u0660\u0660\u0660\u0660\u0661.wal", "../000001.wal",
	} {
		kind, n := ParseFileName(name)
		require.Equal(t, FileOther, kind, name)
		require.Zero(t, n, name)
	}
}
