package ops

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"

	"github.com/tinedb/tine/fuzz/model"
)

// Generator draws operations, for ever. It does each to a model of its own, so
// that nearly all make sense. The same seed and profile give the same
// operations. It may not be used concurrently.
type Generator struct {
	rng     *rand.Rand
	profile Profile
	kinds   []Kind
	total   int

	state model.State
	held  []int // iterators that are open
	n     int   // operations drawn
	names int   // fork and snapshot names given out
	tail  int   // of all queues: rows put behind them
	keys  []string
	next  []Op // decided but not yet given out

	sorted []string // keys, by order
}

// NewGenerator makes a generator.
func NewGenerator(seed uint64, p Profile) *Generator {
	g := &Generator{rng: rand.New(rand.NewPCG(seed, 0x74696e65)), profile: p, state: model.New()}
	for kind, weight := range p.Weights {
		g.kinds = append(g.kinds, kind)
		g.total += weight
	}
	sort.Slice(g.kinds, func(i, j int) bool { return g.kinds[i] < g.kinds[j] })
	for i := range p.Keys {
		g.keys = append(g.keys, keyText(g.rng, i))
	}
	g.sorted = slices.Compact(slices.Sorted(slices.Values(g.keys)))
	return g
}

// keyText makes the i-th key. Most are short and near each other; some are the
// prefix of another, hold the lowest or the highest byte, or are long.
func keyText(rng *rand.Rand, i int) string {
	key := fmt.Sprintf("k%03d", i)
	switch rng.IntN(12) {
	case 0:
		return key + "\x00"
	case 1:
		return key + "\xff\xff"
	case 2:
		return "\x00" + key
	case 3:
		return "\xff" + key
	case 4:
		return key + "/" + Value("key", i, "", 200)
	case 5:
		return string([]byte{byte(i)})
	case 6:
		return fmt.Sprintf("k%03d", max(0, i-1)) + "a"
	}
	return key
}

// List draws the next count operations.
func (g *Generator) List(count int) []Op {
	list := make([]Op, count)
	for i := range list {
		list[i] = g.Next()
	}
	return list
}

// Next draws the next operation.
func (g *Generator) Next() Op {
	if len(g.next) == 0 {
		g.draw()
	}
	op := g.next[0]
	g.next = g.next[1:]
	op.N = g.n
	g.n++
	g.state, _ = Apply(g.state, op)
	switch op.Kind {
	case OpenIter:
		g.held = append(g.held, op.Iter)
	case CloseIter:
		for i, id := range g.held {
			if id == op.Iter {
				g.held = append(g.held[:i:i], g.held[i+1:]...)
				break
			}
		}
	case Reopen:
		g.held = nil
	}
	return op
}

// draw decides about one operation, or about a chain of them, and puts them in
// next.
func (g *Generator) draw() {
	for len(g.next) == 0 {
		at := g.rng.IntN(g.total)
		for _, kind := range g.kinds {
			if at -= g.profile.Weights[kind]; at < 0 {
				g.drawKind(kind)
				break
			}
		}
	}
}

// drawKind decides about an operation of one kind; it draws none if there is
// nothing that it could be done to.
func (g *Generator) drawKind(kind Kind) {
	op := Op{Kind: kind}
	switch kind {
	case Put:
		op.Fork, op.Key, op.Size, op.NoSync = g.fork(), g.key(), g.size(), g.noSync()
	case Delete:
		op.Fork, op.Key, op.NoSync = g.fork(), g.key(), g.noSync()
	case DeleteRange:
		op.Fork, op.NoSync = g.fork(), g.noSync()
		op.Range = g.reach(op.Fork)
	case fill, erase, queue:
		g.drawFlood(kind)
		return
	case Batch:
		op.Writes, op.NoSync = g.writes(), g.noSync()
	case Get:
		op.Fork, op.Key = g.fork(), g.key()
	case Seek:
		op.Fork, op.Key = g.fork(), g.someKey()
	case Scan:
		op.Fork, op.Range = g.fork(), g.bounds()
	case OpenIter:
		if len(g.held) >= g.profile.Iters {
			return
		}
		op.Iter, op.Fork, op.Range = g.n, g.fork(), g.bounds()
	case WalkIter, CloseIter:
		if len(g.held) == 0 {
			return
		}
		op.Iter = g.held[g.rng.IntN(len(g.held))]
		if kind == WalkIter {
			op.Steps, op.Seed = 1+g.rng.IntN(24), g.rng.Uint64()
		}
	case GetSnapshot, ScanSnapshot, ForkSnapshot, ForkManySnap, RenameSnapshot, DropSnapshot:
		g.drawOnSnapshot(op)
		return
	case Fork, ForkMany, Snapshot, Drop, DropSubtree, Rename, Reset, ResetSnapshot:
		g.drawOnFork(op)
		return
	case DropMany, DropPrefix:
		g.drawDrops(op)
		return
	case BackupSome:
		for range 1 + g.rng.IntN(3) {
			op.Names = append(op.Names, g.fork())
		}
		slices.Sort(op.Names)
		op.Names = slices.Compact(op.Names)
	}
	g.next = append(g.next, op)
}

// bounds draws a range: both bounds, one or none, at keys and beside them, and
// sometimes with nothing in it.
func (g *Generator) bounds() model.Range {
	bound := func() *string {
		key := g.someKey()
		switch g.rng.IntN(5) {
		case 0, 1:
			return nil
		case 2:
			return Bound(key + "\x00")
		default:
			return Bound(key)
		}
	}
	r := model.Range{Lower: bound(), Upper: bound()}
	if r.Lower != nil && r.Upper != nil && *r.Lower > *r.Upper {
		r.Lower, r.Upper = r.Upper, r.Lower
	}
	return r
}

func (g *Generator) writes() []Write {
	forks := make([]string, 1+g.rng.IntN(3))
	for i := range forks {
		forks[i] = g.fork()
	}
	writes := make([]Write, 1+g.rng.IntN(6))
	for i := range writes {
		w := Write{Fork: forks[g.rng.IntN(len(forks))]}
		if g.profile.Ranges > 0 && g.rng.Float64() < g.profile.Ranges {
			r := g.reach(w.Fork)
			w.Range = &r
		} else {
			w.Key, w.Delete = g.key(), g.rng.IntN(4) == 0
			if !w.Delete {
				w.Size = g.size()
			}
		}
		writes[i] = w
	}
	return writes
}

// key draws a key that a few of all operations share or, seldom, the empty key,
// which is refused.
func (g *Generator) key() string {
	if g.rng.Float64() < g.profile.EmptyKeys {
		return ""
	}
	return g.someKey()
}

func (g *Generator) noSync() bool { return g.rng.Float64() < g.profile.NoSync }

// size draws the length of a value: usually small, now and then none, seldom
// larger than a block.
func (g *Generator) size() int {
	switch g.rng.IntN(40) {
	case 0:
		return 0
	case 1:
		return 20 * g.profile.ValueBytes
	}
	return 1 + g.rng.IntN(g.profile.ValueBytes)
}
