package compaction

import (
	"bytes"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A run is drawn as its tables' first and last keys, with their bytes behind "=" if
// they are not 100, and "!" if they must be read: "ac dd=10 fz!". A split is drawn as
// its parts in order: a table that is kept, or in brackets what is read, run by run.
func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name string
		runs []string
		want string
	}{
		{"nothing to merge is nothing", nil, ""},
		{"a run without rows is no part", []string{"", "ac"}, "ac"},
		{"what overlaps nothing is kept", []string{"de", "ac fz"}, "ac de fz"},
		{"a small change to a large run reads what it overlaps", []string{"dd", "ab ce fg hi"}, "ab [dd/ce] fg hi"},
		{"one common key is an overlap", []string{"cd", "ac df gg"}, "[cd/ac df] gg"},
		{"a long newer table binds all that lies under it", []string{"ah", "bb cc zz"}, "[ah/bb cc] zz"},
		{"what binds two may be the older one", []string{"ab gh", "ah"}, "[ab gh/ah]"},
		{"an overlap goes on through a third run", []string{"ac", "bf", "eh ii"}, "[ac/bf/eh] ii"},
		{"pieces beside each other are read as one", []string{"aa cc", "ab cd zz"}, "[aa cc/ab cd] zz"},
		{"pieces with a kept one between them are two", []string{"aa ee", "ab cd ef zz"}, "[aa/ab] cd [ee/ef] zz"},
		{"what must be read is", []string{"cc!", "ab ef!"}, "ab [cc/ef]"},
		{"one small table stays beside large ones", []string{"cc=10", "ab ef"}, "ab cc ef"},
		{"two small neighbours are read", []string{"cc=10", "ab=10 ef"}, "[cc/ab] ef"},
		{"also if they are of one run", []string{"xx", "ab=10 ef=10"}, "[ab ef] xx"},
		{"three small ones that are large together are read as one", []string{"cc=20 dd=20 ee=20 ff=20"}, "[cc dd ee ff]"},
		{"a small one before what is read is read too", []string{"cc", "ab=10 cd"}, "[cc/ab cd]"},
		{"a small one behind what is read is read too", []string{"cc", "cd ee=10 ff"}, "[cc/cd ee] ff"},
		{"a small one between two that are read binds them", []string{"aa ee", "ab cd=10 ef"}, "[aa ee/ab cd ef]"},
		{"of the same range the newer run comes first", []string{"aa", "aa", "aa"}, "[aa/aa/aa]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runs [][]Span
			for _, r := range c.runs {
				runs = append(runs, parseRun(t, r))
			}
			parts := Split(runs, 50)
			checkSplit(t, runs, 50, parts)
			require.Equal(t, c.want, drawParts(runs, parts))
		})
	}
}

// Whatever the runs are like, the parts are a run's: each table is in one, in order,
// and none overlaps another.
func TestSplitIsSoundForRandomRuns(t *testing.T) {
	kept, read := 0, 0
	for seed := range int64(3000) {
		r := rand.New(rand.NewSource(seed))
		runs := make([][]Span, r.Intn(5))
		for i := range runs {
			runs[i] = randomSpans(r)
		}
		parts := Split(runs, 50)
		checkSplit(t, runs, 50, parts)
		for _, p := range parts {
			if p.Kept {
				kept++
			} else {
				read++
			}
		}
	}
	require.Greater(t, kept, 1000)
	require.Greater(t, read, 1000)
}

func checkSplit(t require.TestingT, runs [][]Span, small uint64, parts []Part) {
	seen := map[TableRef]bool{}
	next := make([]int, len(runs))
	var largest []byte // of all parts so far
	for i, p := range parts {
		require.NotEmpty(t, p.Tables)
		end := largest
		for _, at := range p.Tables {
			s := runs[at.Run][at.Table]
			require.False(t, seen[at], "a table is in two parts")
			require.Equal(t, next[at.Run], at.Table, "the tables of a run are out of order")
			require.True(t, i == 0 || bytes.Compare(s.Smallest, largest) > 0, "parts overlap")
			seen[at] = true
			next[at.Run]++
			if bytes.Compare(s.Largest, end) > 0 {
				end = s.Largest
			}
		}
		largest = end
		first := runs[p.Tables[0].Run][p.Tables[0].Table]
		require.False(t, p.Kept && (len(p.Tables) > 1 || first.Must), "a table is kept that must not be")
		if i == 0 {
			continue
		}
		before := runs[parts[i-1].Tables[0].Run][parts[i-1].Tables[0].Table]
		switch {
		case p.Kept && parts[i-1].Kept:
			require.True(t, first.Bytes >= small || before.Bytes >= small, "two small tables lie side by side")
		case p.Kept:
			require.GreaterOrEqual(t, first.Bytes, small, "a small table lies beside what is read")
		case parts[i-1].Kept:
			require.GreaterOrEqual(t, before.Bytes, small, "a small table lies beside what is read")
		default:
			require.Fail(t, "two parts that are read lie side by side")
		}
	}
	for i, run := range runs {
		require.Equal(t, len(run), next[i], "a table is in no part")
	}
}

func parseRun(t *testing.T, picture string) (run []Span) {
	for _, word := range strings.Fields(picture) {
		s := Span{Smallest: []byte(word[:1]), Largest: []byte(word[1:2]), Bytes: 100}
		word, s.Must = strings.CutSuffix(word, "!")
		if _, bytes, ok := strings.Cut(word, "="); ok {
			_, err := fmt.Sscan(bytes, &s.Bytes)
			require.NoError(t, err)
		}
		run = append(run, s)
	}
	return run
}

func drawParts(runs [][]Span, parts []Part) string {
	var words []string
	for _, p := range parts {
		byRun := make([][]string, len(runs))
		for _, at := range p.Tables {
			s := runs[at.Run][at.Table]
			byRun[at.Run] = append(byRun[at.Run], string(s.Smallest)+string(s.Largest))
		}
		var read []string
		for _, tables := range byRun {
			if len(tables) > 0 {
				read = append(read, strings.Join(tables, " "))
			}
		}
		word := strings.Join(read, "/")
		if !p.Kept {
			word = "[" + word + "]"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// randomSpans makes tables between some of a hundred keys.
func randomSpans(r *rand.Rand) (run []Span) {
	keys := make([]byte, r.Intn(20))
	for i := range keys {
		keys[i] = byte(r.Intn(100))
	}
	slices.Sort(keys)
	keys = slices.Compact(keys)
	for len(keys) > 0 {
		n := min(1+r.Intn(2), len(keys))
		run = append(run, Span{
			Smallest: keys[:1], Largest: keys[n-1 : n], Bytes: uint64(r.Intn(200)), Must: r.Intn(10) == 0,
		})
		keys = keys[n:]
	}
	return run
}
