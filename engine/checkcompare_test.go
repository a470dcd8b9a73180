package engine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The deep check is there for what no checksum can see: a reader that gives
// something else than the tables hold.
func TestTwoWaysOfReadingThatDisagreeAreAProblem(t *testing.T) {
	for _, c := range []struct {
		name string
		one  content
		want string // of the problem, empty if there is none
	}{
		{"both agree", content{seen: digest{7, 1}, plain: digest{7, 1}}, ""},
		{"the rows differ", content{seen: digest{7, 1}, plain: digest{8, 1}}, "reading it gives 1 rows"},
		{"a row is missing", content{seen: digest{7, 1}, plain: digest{7, 2}}, "put together one by one give 2 rows"},
		{"a lookup gives something else", content{wrong: "key a is lost"}, "key a is lost"},
		{"it could not be read, which was said before", content{failed: true, seen: digest{7, 1}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.one.names = []string{"main", "@kept"}
			check := &checker{report: &CheckReport{}, known: map[problemKey]int{}}
			check.compare(&c.one)
			if c.want == "" {
				require.Empty(t, check.report.Problems)
				require.Len(t, check.report.Hashes, map[bool]int{true: 0, false: 2}[c.one.failed])
				return
			}
			require.Len(t, check.report.Problems, 1)
			require.Contains(t, check.report.Problems[0].Text, c.want)
			require.Equal(t, c.one.names, check.report.Problems[0].Forks)
			require.Empty(t, check.report.Hashes)
		})
	}
}
