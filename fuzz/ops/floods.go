package ops

import (
	"fmt"

	"github.com/tinedb/tine/fuzz/model"
)

// Floods are kinds that a profile may weigh and that no list holds: each is drawn
// as several operations that belong together.
const (
	fill  Kind = "(fill)"  // many rows of one fork, and perhaps into tables
	erase Kind = "(erase)" // most of what a fork holds, and perhaps out of tables
	queue Kind = "(queue)" // rows behind the last, the first rows away, and a look at the head
)

// many tells whether floods are so large that they are done in batches.
func (g *Generator) many() bool { return g.profile.Bulk > 100 }

func (g *Generator) drawFlood(kind Kind) {
	fork := g.fork()
	switch kind {
	case fill:
		g.drawFill(fork)
	case erase:
		g.drawErase(fork)
	case queue:
		g.drawQueue(fork)
	}
}

// drawFill decides about puts of neighbouring keys, as many as make several tables
// where those are small.
func (g *Generator) drawFill(fork string) {
	from, count := g.rng.IntN(len(g.sorted)), g.profile.Bulk/2+g.rng.IntN(g.profile.Bulk)
	op := Op{Kind: Batch, NoSync: g.noSync()}
	for i := range min(count, len(g.sorted)-from) {
		op.Writes = append(op.Writes, Write{Fork: fork, Key: g.sorted[from+i], Size: g.size()})
	}
	g.next = append(g.next, op)
	g.settleDown(fork)
}

// drawErase decides about deletes of most rows of a fork: as one range or as a few,
// or one by one, in batches or not. What is left are single rows here and there.
func (g *Generator) drawErase(fork string) {
	f, _ := g.state.Forks.Get(fork)
	held := f.Contents.Len()
	if held == 0 {
		return
	}
	switch g.rng.IntN(6) {
	case 5:
		from := g.rng.IntN(held/2 + 1)
		to := min(from+g.profile.Bulk, held)
		g.next = append(g.next, deletesOf(fork, f.Contents, from, to, g.noSync()))
	case 0:
		from := g.rng.IntN(held/4 + 1)
		g.deleteRange(fork, g.between(f.Contents, from, held-g.rng.IntN(held/4+1)))
	case 1:
		for from := 0; from < held; {
			to := from + 1 + g.rng.IntN(held/4+2)
			g.deleteRange(fork, g.between(f.Contents, from, to))
			from = to + g.rng.IntN(2)
		}
	case 2:
		op := Op{Kind: Batch, NoSync: g.noSync()}
		for key := range f.Contents.All() {
			if g.rng.IntN(5) > 0 {
				op.Writes = append(op.Writes, Write{Fork: fork, Delete: true, Key: key})
			}
		}
		if len(op.Writes) == 0 {
			return
		}
		g.next = append(g.next, op)
	default:
		from := g.rng.IntN(held)
		if g.many() {
			g.next = append(g.next, deletesOf(fork, f.Contents, from, min(held, from+g.profile.Bulk), g.noSync()))
			break
		}
		for i := from; i < min(held, from+g.profile.Bulk); i++ {
			if key, _ := f.Contents.At(i); g.rng.IntN(8) > 0 {
				g.next = append(g.next, Op{Kind: Delete, Fork: fork, Key: key, NoSync: g.noSync()})
			}
		}
	}
	g.settleDown(fork)
}

// deletesOf deletes the rows from … to-1 of contents one by one, in one batch.
func deletesOf(fork string, contents model.Contents, from, to int, noSync bool) Op {
	op := Op{Kind: Batch, NoSync: noSync}
	for i := from; i < to; i++ {
		key, _ := contents.At(i)
		op.Writes = append(op.Writes, Write{Fork: fork, Delete: true, Key: key})
	}
	return op
}

func (g *Generator) deleteRange(fork string, r model.Range) {
	g.next = append(g.next, Op{Kind: DeleteRange, Fork: fork, Range: r, NoSync: g.noSync()})
}

// settleDown decides whether what was just written goes into tables, or is merged,
// and whether somebody looks.
func (g *Generator) settleDown(fork string) {
	if g.profile.Weights[Flush] == 0 {
		return
	}
	if g.rng.IntN(2) == 0 {
		g.next = append(g.next, Op{Kind: Flush})
	}
	if g.rng.IntN(4) == 0 {
		g.next = append(g.next, Op{Kind: Compact})
	}
	if g.rng.IntN(2) == 0 {
		g.next = append(g.next, Op{Kind: Scan, Fork: fork, Range: g.bounds()})
	}
}

// drawQueue decides about some turns of a queue: what comes in gets keys behind all
// others, what goes out has the lowest ones, one by one or as a range, and who waits
// seeks to the head past all that went before.
func (g *Generator) drawQueue(fork string) {
	f, _ := g.state.Forks.Get(fork)
	r := beginning("queue/")
	waiting := f.Contents.Within(r)
	in := Op{Kind: Batch, NoSync: g.noSync()}
	for range 1 + g.rng.IntN(g.profile.Bulk) {
		g.tail++
		put := Write{Fork: fork, Key: fmt.Sprintf("queue/%06d", g.tail), Size: g.size()}
		if in.Writes = append(in.Writes, put); !g.many() {
			g.next = append(g.next, Op{Kind: Put, Fork: fork, Key: put.Key, Size: put.Size, NoSync: g.noSync()})
		}
	}
	if g.many() {
		g.next = append(g.next, in)
	}
	if out := min(waiting.Len(), g.rng.IntN(g.profile.Bulk+2)); out > 0 {
		switch draw := g.rng.IntN(3); {
		case draw == 0:
			r.Upper = g.between(waiting, 0, out).Upper
			g.deleteRange(fork, r)
		case g.many():
			g.next = append(g.next, deletesOf(fork, waiting, 0, out, g.noSync()))
		default:
			for i := range out {
				key, _ := waiting.At(i)
				g.next = append(g.next, Op{Kind: Delete, Fork: fork, Key: key, NoSync: g.noSync()})
			}
		}
	}
	g.next = append(g.next, Op{Kind: Seek, Fork: fork, Key: *r.Lower})
	if g.profile.Weights[Flush] > 0 && g.rng.IntN(6) == 0 {
		g.next = append(g.next, Op{Kind: Flush})
	}
}
