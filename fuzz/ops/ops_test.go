package ops

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz/model"
)

func TestTheOperationsImportNothingOfTheEngine(t *testing.T) {
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), f.Name(), nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, i := range tree.Imports {
			if strings.Contains(i.Path.Value, "/tine/") {
				require.Equal(t, `"github.com/tinedb/tine/fuzz/model"`, i.Path.Value, f.Name())
			}
		}
	}
}

func TestASeedGivesTheSameListEachTimeAndTextGivesItBack(t *testing.T) {
	for _, p := range []Profile{Everyday(), Crashing(), Deleting(), Queueing(), Erasing()} {
		list := NewGenerator(7, p).List(5000)
		require.Equal(t, list, NewGenerator(7, p).List(5000))
		require.NotEqual(t, list, NewGenerator(8, p).List(5000))
		var text bytes.Buffer
		require.NoError(t, Format(&text, list))
		back, err := Parse(&text)
		require.NoError(t, err)
		require.Equal(t, list, back)
	}
}

func TestBadLinesAreRefused(t *testing.T) {
	for _, line := range []string{
		"x put main =k 3", "1", "1 fly", "1 put main k 3", "1 put main =k", "1 put main =k x",
		"1 put main =k%4", "1 batch put:main:=k", "1 scan main = k",
		"1 batch range:main:=k", "1 batch range:main:=k:m", "1 batch delete:main:=k:=m", "1 batch put:main",
	} {
		_, err := Parse(strings.NewReader(line))
		require.Error(t, err, line)
	}
}

func TestTheGeneratorMeetsWhatItIsThereFor(t *testing.T) {
	p := Everyday()
	g := NewGenerator(3, p)
	drawn, refused, deepest, most := map[Kind]int{}, 0, 0, 0
	state := model.New()
	for range 20000 {
		op := g.Next()
		drawn[op.Kind]++
		next, err := Apply(state, op)
		if err != nil {
			refused++
		}
		state = next
		most = max(most, state.Forks.Len())
		for _, f := range state.Forks.All() {
			deepest = max(deepest, f.Depth)
		}
	}
	for kind := range p.Weights {
		require.NotZero(t, drawn[kind], kind)
	}
	require.GreaterOrEqual(t, deepest, 64)
	require.GreaterOrEqual(t, most, 64)
	require.NotZero(t, refused)
	require.Less(t, refused, 2000)
}

func TestValuesSayWhereTheyAreFrom(t *testing.T) {
	v := Value("agent-1", 17, "k\x00", 120)
	require.Contains(t, v, `fork agent-1 op 17 key "k\x00" `)
	require.InDelta(t, 120, len(v), 2)
	require.True(t, Intact(v))
	require.True(t, Intact(Value("a", 1, "b", 0)))
	require.False(t, Intact(strings.Replace(v, "17", "18", 1)))
	require.False(t, Intact(v[:len(v)-1]))
}

func TestShrinkFindsTheFewOperationsThatMatter(t *testing.T) {
	list := NewGenerator(5, Everyday()).List(600)
	list[100] = Op{N: 100, Kind: Put, Fork: "main", Key: "needed", Size: 800}
	list[400] = Op{N: 400, Kind: Batch, Writes: []Write{{Fork: "a", Key: "x"}, {Fork: "main", Key: "needed", Delete: true}, {Fork: "b", Key: "y"}}}
	small := Shrink(list, 10000, func(candidate []Op) bool {
		put, deleted := false, false
		for _, op := range candidate {
			put = put || op.Kind == Put && op.Key == "needed" && op.Size >= 100
			for _, w := range op.Writes {
				deleted = deleted || put && w.Key == "needed"
			}
		}
		return deleted
	})
	require.Len(t, small, 2)
	require.Equal(t, 100, small[0].Size)
	require.Len(t, small[1].Writes, 1)
}

func TestARefusedBatchChangesNothing(t *testing.T) {
	s := model.New()
	next, err := Apply(s, Op{Kind: Batch, Writes: []Write{{Fork: "main", Key: "a", Size: 1}, {Fork: "gone", Key: "b", Size: 1}}})
	require.ErrorIs(t, err, model.ErrForkNotFound)
	require.Zero(t, next.Forks.Len()-1)
	require.Empty(t, model.Diff(next.View(), s.View()))
	next, err = Apply(s, Op{Kind: Batch, Writes: []Write{{Fork: "main", Key: "a", Size: 1}, {Fork: "main", Key: "", Size: 1}}})
	require.ErrorIs(t, err, model.ErrEmptyKey)
	require.Empty(t, model.Diff(next.View(), s.View()))
}
