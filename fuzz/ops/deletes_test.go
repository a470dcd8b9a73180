package ops

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/fuzz/model"
)

func TestShrinkNarrowsRangesToWhatMatters(t *testing.T) {
	list := []Op{
		{N: 0, Kind: Put, Fork: "main", Key: "a", Size: 1}, {N: 1, Kind: Put, Fork: "main", Key: "m", Size: 1},
		{N: 2, Kind: Put, Fork: "main", Key: "n", Size: 1}, {N: 3, Kind: Put, Fork: "main", Key: "z", Size: 1},
		{N: 4, Kind: DeleteRange, Fork: "main"},
		{N: 5, Kind: Batch, Writes: []Write{{Fork: "main", Range: &model.Range{Upper: Bound("zz")}}, {Fork: "main", Key: "y"}}},
		{N: 6, Kind: WalkIter, Steps: 24},
	}
	holds := func(r model.Range, key string) bool {
		return (r.Lower == nil || *r.Lower <= key) && (r.Upper == nil || key < *r.Upper)
	}
	small := Shrink(list, 10000, func(candidate []Op) bool {
		keys, single, batch := map[string]bool{}, false, false
		for _, op := range candidate {
			keys[op.Key] = true
			single = single || op.Kind == DeleteRange && holds(op.Range, "m")
			for _, w := range op.Writes {
				batch = batch || w.Range != nil && holds(*w.Range, "n")
			}
		}
		return keys["a"] && keys["m"] && keys["n"] && keys["z"] && single && batch
	})
	require.Len(t, small, 6)
	require.Equal(t, "4 deleterange main =m =n", small[4].String())
	require.Equal(t, "5 batch range:main:=n:=z", small[5].String())
}

// plain is the simplest thing that can hold forks: a map for each, copied when one
// is forked.
type plain struct{ forks, snapshots map[string]map[string]string }

func (p plain) do(op Op) {
	inside := func(r model.Range, key string) bool {
		return (r.Lower == nil || *r.Lower <= key) && (r.Upper == nil || key < *r.Upper)
	}
	clear := func(m map[string]string, r model.Range) {
		for key := range m {
			if inside(r, key) {
				delete(m, key)
			}
		}
	}
	move := func(from, to map[string]map[string]string, name, other string) {
		m := from[name]
		delete(from, name)
		to[other] = m
	}
	switch op.Kind {
	case Put:
		p.forks[op.Fork][op.Key] = Value(op.Fork, op.N, op.Key, op.Size)
	case Delete:
		delete(p.forks[op.Fork], op.Key)
	case DeleteRange:
		clear(p.forks[op.Fork], op.Range)
	case Batch:
		for i, w := range op.Writes {
			switch {
			case w.Range != nil:
				clear(p.forks[w.Fork], *w.Range)
			case w.Delete:
				delete(p.forks[w.Fork], w.Key)
			default:
				p.forks[w.Fork][w.Key] = w.Value(op, i)
			}
		}
	case Fork:
		p.forks[op.Name] = maps.Clone(p.forks[op.Fork])
	case ForkSnapshot:
		p.forks[op.Name] = maps.Clone(p.snapshots[op.Fork])
	case ForkMany:
		for _, name := range op.Names {
			p.forks[name] = maps.Clone(p.forks[op.Fork])
		}
	case ForkManySnap:
		for _, name := range op.Names {
			p.forks[name] = maps.Clone(p.snapshots[op.Fork])
		}
	case DropMany:
		for _, name := range op.Names {
			delete(p.forks, name)
		}
	case DropPrefix:
		for name := range p.forks {
			if strings.HasPrefix(name, op.Name) {
				delete(p.forks, name)
			}
		}
	case Snapshot:
		p.snapshots[op.Name] = maps.Clone(p.forks[op.Fork])
	case RenameSnapshot:
		move(p.snapshots, p.snapshots, op.Fork, op.Name)
	case Rename:
		move(p.forks, p.forks, op.Fork, op.Name)
	case DropSnapshot:
		delete(p.snapshots, op.Fork)
	case Drop:
		delete(p.forks, op.Fork)
	case Reset:
		p.forks[op.Fork] = maps.Clone(p.forks[op.Name])
	case ResetSnapshot:
		p.forks[op.Fork] = maps.Clone(p.snapshots[op.Name])
	}
}

func (p plain) view() (v model.View) {
	of := func(named map[string]map[string]string) (all model.Map[model.Contents]) {
		for name, held := range named {
			var contents model.Contents
			for key, value := range held {
				contents = contents.Set(key, value)
			}
			all = all.Set(name, contents)
		}
		return all
	}
	v.Forks, v.Snapshots = of(p.forks), of(p.snapshots)
	return v
}

func TestTheModelAgreesWithPlainMapsOnWhatDeletesLeave(t *testing.T) {
	for seed, profile := range []Profile{Everyday(), Deleting(), Queueing(), Erasing(), Hoarding()} {
		g := NewGenerator(uint64(seed), profile)
		state := model.New()
		p := plain{forks: map[string]map[string]string{model.MainFork: {}}, snapshots: map[string]map[string]string{}}
		length := 4000
		if profile.Bulk > 100 {
			length = 200
		}
		for n := range length {
			op := g.Next()
			next, err := Apply(state, op)
			if err != nil {
				require.Equal(t, state, next, "what is refused changes nothing")
				continue
			}
			if op.Kind == DropSubtree { // who came of whom is no matter of maps: see the model's own test
				op = Op{N: op.N, Kind: DropMany, Names: state.Subtree(op.Fork)}
			}
			p.do(op)
			if state = next; n%50 == 0 || op.Kind == Batch || op.Kind == DeleteRange {
				v := state.View()
				v.Kin = model.Map[string]{}
				require.Empty(t, model.Diff(p.view(), v), op.String())
			}
		}
	}
}

// How many rows range deletes took away, and where those were.
func TestTheDeletingProfilesMeetWhatTheyAreThereFor(t *testing.T) {
	for name, profile := range map[string]Profile{"deleting": Deleting(), "queueing": Queueing(), "erasing": Erasing()} {
		g := NewGenerator(11, profile)
		state, written, deleted, met, held := model.New(), 0, 0, map[string]int{}, 0
		note := func(r model.Range, before model.Contents, parent model.Contents, where string) {
			rows := before.Within(r).Len()
			switch {
			case r.Lower != nil && r.Upper != nil && *r.Lower > *r.Upper:
				met["reversed"]++
			case rows == 0:
				met["no row"]++
			case rows == before.Len():
				met["every row"]++
			case rows*3 > before.Len():
				met["more than a third"]++
			case rows < 4:
				met["a few rows"]++
			}
			if r.Lower == nil || r.Upper == nil {
				met["open"]++
			}
			if rows > 0 && model.DiffContents(before.Within(r), parent.Within(r)) == "" {
				met["all from the parent"]++
			}
			met[where]++
		}
		for range 20000 {
			op := g.Next()
			before := state
			next, err := Apply(state, op)
			contents := func(name string) (model.Contents, model.Contents) {
				f, _ := before.Forks.Get(name)
				for _, p := range before.Forks.All() {
					if p.ID == f.ParentID {
						return f.Contents, p.Contents
					}
				}
				return f.Contents, model.Contents{}
			}
			switch op.Kind {
			case Put:
				written++
			case DeleteRange:
				c, p := contents(op.Fork)
				note(op.Range, c, p, "alone")
			case Batch:
				kinds, forks := map[string]bool{}, map[string]bool{}
				for i, w := range op.Writes {
					forks[w.Fork] = true
					switch {
					case w.Range != nil:
						c, p := contents(w.Fork)
						note(*w.Range, c, p, "in a batch")
						if kinds["put"] || kinds["delete"] {
							met["after others in a batch"]++
						}
						if i < len(op.Writes)-1 {
							met["before others in a batch"]++
						}
						kinds["range"] = true
					case w.Delete:
						kinds["delete"] = true
					default:
						written++
						kinds["put"] = true
					}
				}
				if kinds["range"] && len(forks) > 1 {
					met["in a batch over several forks"]++
				}
			}
			if err != nil {
				continue
			}
			state = next
			for name, f := range state.Forks.All() {
				if old, _ := before.Forks.Get(name); old.ID == f.ID && op.Kind != Reset && op.Kind != ResetSnapshot {
					deleted += max(0, old.Contents.Len()-f.Contents.Len())
				}
			}
			held = max(held, state.Forks.Len())
		}
		t.Log(name, written, deleted, met)
		require.Greater(t, deleted*2, written, name)
		require.Greater(t, held, 4)
		if name == "queueing" {
			continue
		}
		for what, n := range map[string]int{
			"no row": 50, "every row": 50, "more than a third": 50, "a few rows": 300, "open": 100, "all from the parent": 50,
			"alone": 500, "in a batch": 300, "after others in a batch": 100, "before others in a batch": 100, "in a batch over several forks": 100,
		} {
			require.GreaterOrEqual(t, met[what], n, "%s: %s", name, what)
		}
	}
}
