package ids

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// numbered are the names that stand for a number, but for those above 2^64.
var numbered = regexp.MustCompile(`^(?:MANIFEST-(?:\d{6}|[1-9]\d{6,})|(?:\d{6}|[1-9]\d{6,})\.(?:wal|sst))$`)

// FuzzParseFileName: a name stands for a number exactly if the number's own name
// is that name.
func FuzzParseFileName(f *testing.F) {
	for _, name := range []string{"", "CURRENT", "MANIFEST-000012", "000017.wal", "1000000.sst", "0000001.wal", "18446744073709551615.sst", "18446744073709551616.sst"} {
		f.Add(name)
	}
	names := map[FileKind]func(FileNum) string{FileManifest: ManifestName, FileSegment: SegmentName, FileTable: TableFileName}
	f.Fuzz(func(t *testing.T, name string) {
		kind, n := ParseFileName(name)
		if kind == FileOther {
			require.Zero(t, n)
			require.False(t, numbered.MatchString(name) && len(name) < 19, "%q should be a name", name)
			return
		}
		require.Equal(t, name, names[kind](n))
		require.Regexp(t, numbered, name)
	})
}
