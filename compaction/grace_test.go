package compaction

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/stretchr/testify/require"
)

// Agents fork, write for a while, and most of them drop their fork: what grace saves of
// the merges, and what it costs those who read.
func TestGraceSavesMergesForForksThatAreDroppedSoon(t *testing.T) {
	const (
		agents = 500
		busy   = 20 // at a time
		base   = 100_000
	)
	for _, c := range []struct {
		name   string
		nested bool
		mean   float64 // flushes in the life of an agent
		most   float64 // of the merges without grace
	}{
		{"lives of three flushes", false, 3, 0.5},
		{"lives of six flushes", false, 6, 0.6},
		{"lives of thirty flushes", false, 30, 0.8},
		{"forks of forks, lives of six flushes", true, 6, 0.75},
	} {
		t.Run(c.name, func(t *testing.T) {
			var merged, runs [2]float64
			for i, graced := range []int{0, 1000} { // runs written while a fork is young
				r := rand.New(rand.NewSource(1))
				s := newSimTree(t, DefaultPolicy())
				s.set("main", nil)
				s.write("main", Item{Bytes: base, Rows: base})
				s.fork("base", "main")
				s.written = 0
				type agent struct {
					name       string
					left, made int
				}
				var live, kept []*agent
				looks := 0
				for made := 0; made < agents || len(live) > 0; looks++ {
					for ; len(live) < busy && made < agents; made++ {
						a := &agent{fmt.Sprint("agent ", made), 1 + int(r.ExpFloat64()*c.mean), looks}
						on := "main"
						if c.nested && len(live) > 0 && r.Intn(2) == 0 {
							on = live[r.Intn(len(live))].name
						}
						s.fork(a.name, on)
						live = append(live, a)
					}
					at := r.Intn(len(live))
					a := live[at]
					top := s.write(a.name, Item{Bytes: 100, Rows: 100, Young: graced > 0})
					for s.step(top) {
					}
					nodes, path := s.path(top)
					checkRest(t, path, s.policy)
					runs[i] += float64(len(nodes))
					if a.left--; a.left == 0 {
						live = append(live[:at], live[at+1:]...)
						if r.Intn(10) > 0 {
							s.drop(a.name)
						} else if kept = append(kept, a); len(kept) > busy {
							s.drop(kept[0].name)
							kept = kept[1:]
						}
					}
					if looks%100 == 0 {
						for _, a := range append(kept, live...) {
							for n := s.names[a.name]; n != nil && looks-a.made > graced; n = n.older {
								n.item.Young = false
							}
						}
						s.rest()
					}
				}
				merged[i] = float64(s.rewritten) / float64(s.written)
				runs[i] /= float64(looks)
			}
			t.Logf("%.2f rewrites of a row, %.2f without grace; %.1f runs on a path, %.1f", merged[1], merged[0], runs[1], runs[0])
			require.LessOrEqual(t, merged[1], c.most*merged[0])
			require.LessOrEqual(t, runs[1], runs[0]+1.5)
		})
	}
}
