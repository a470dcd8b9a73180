package ops

import "fmt"

// drawOnFork decides about an operation on a fork as a whole.
func (g *Generator) drawOnFork(op Op) {
	op.Fork, op.NoSync = g.fork(), g.noSync()
	crowded := g.state.Forks.Len() >= g.profile.Forks
	switch op.Kind {
	case Fork:
		if crowded {
			g.drawKind(Drop)
			return
		}
		if g.profile.Chain > 0 && g.rng.IntN(30) == 0 {
			g.drawChain(op.Fork)
			return
		}
		op.Name = g.newFork()
	case ForkMany:
		if crowded {
			g.drawKind(DropPrefix)
			return
		}
		op.Names = g.newForks()
	case DropSubtree:
		if len(g.state.Subtree(op.Fork)) == g.state.Forks.Len() && g.rng.IntN(8) > 0 {
			return
		}
	case Snapshot:
		if g.state.Snapshots.Len() >= g.profile.Snapshots {
			g.drawKind(DropSnapshot)
			return
		}
		op.Name = g.newSnapshot()
	case Drop:
		if g.state.Forks.Len() == 1 && g.rng.IntN(8) > 0 {
			return
		}
	case Rename:
		op.Name = g.newFork()
	case Reset:
		op.Name = g.fork()
	case ResetSnapshot:
		if op.Name = g.snapshot(); op.Name == "" {
			return
		}
	}
	g.next = append(g.next, op)
}

// drawOnSnapshot decides about an operation on a snapshot.
func (g *Generator) drawOnSnapshot(op Op) {
	if op.Fork = g.snapshot(); op.Fork == "" {
		return
	}
	switch op.Kind {
	case GetSnapshot:
		op.Key = g.key()
	case ScanSnapshot:
		op.Range = g.bounds()
	case ForkSnapshot:
		if g.state.Forks.Len() >= g.profile.Forks {
			return
		}
		op.Name, op.NoSync = g.newFork(), g.noSync()
	case ForkManySnap:
		if g.state.Forks.Len() >= g.profile.Forks {
			return
		}
		op.Names, op.NoSync = g.newForks(), g.noSync()
	case RenameSnapshot:
		op.Name, op.NoSync = g.newSnapshot(), g.noSync()
	case DropSnapshot:
		op.NoSync = g.noSync()
	}
	g.next = append(g.next, op)
}

// drawDrops decides about a drop of several forks.
func (g *Generator) drawDrops(op Op) {
	op.NoSync = g.noSync()
	switch op.Kind {
	case DropMany:
		for range 1 + g.rng.IntN(4) {
			op.Names = append(op.Names, g.fork())
		}
	case DropPrefix:
		name := g.fork()
		op.Name = name[:1+g.rng.IntN(len(name))]
		if many, short := len(g.state.WithPrefix(op.Name)), op.Name == "f"; short && many > 4 && g.rng.IntN(4) > 0 {
			op.Name = name // seldom nearly all
		}
	}
	g.next = append(g.next, op)
}

// newForks makes up some names, most of which begin in the same way.
func (g *Generator) newForks() []string {
	stem := g.newFork()
	names := []string{stem}
	for i := range g.rng.IntN(4) {
		names = append(names, fmt.Sprintf("%s.%d", stem, i))
	}
	if g.rng.IntN(12) == 0 {
		names = append(names, g.newFork())
	}
	if g.rng.IntN(40) == 0 {
		names = append(names, stem)
	}
	return names
}

// drawChain decides about a chain of forks, each of which writes a little before
// the next is made. Of some chains every fork lives on, then all but the last are
// dropped, oldest first; of others each parent is dropped as soon as it has a
// child, so that depth grows without bound.
func (g *Generator) drawChain(from string) {
	length := 2 + g.rng.IntN(g.profile.Chain-1)
	keep := g.rng.IntN(2) == 0
	var made []string
	for range length {
		child := g.newFork()
		for range g.rng.IntN(3) {
			g.next = append(g.next, Op{Kind: Put, Fork: from, Key: g.key(), Size: g.size(), NoSync: g.noSync()})
		}
		if g.rng.IntN(3) == 0 {
			g.next = append(g.next, Op{Kind: Delete, Fork: from, Key: g.key(), NoSync: g.noSync()})
		}
		g.next = append(g.next, Op{Kind: Fork, Fork: from, Name: child, NoSync: g.noSync()})
		if !keep && len(made) > 0 {
			g.next = append(g.next, Op{Kind: Drop, Fork: from, NoSync: g.noSync()})
		}
		if g.rng.IntN(10) == 0 {
			g.next = append(g.next, Op{Kind: Get, Fork: child, Key: g.key()})
		}
		made = append(made, child)
		from = child
	}
	if keep {
		g.next = append(g.next, Op{Kind: Check})
		for _, name := range made[:len(made)-1] {
			g.next = append(g.next, Op{Kind: Drop, Fork: name, NoSync: g.noSync()})
		}
	}
}

// fork draws a fork that exists or, seldom, a name that no fork has. The newest
// fork is drawn most often: deep trees grow from it.
func (g *Generator) fork() string {
	if g.rng.Float64() < g.profile.Wrong {
		return "nowhere"
	}
	n := g.state.Forks.Len()
	if g.rng.IntN(4) > 0 {
		name, _ := g.state.Forks.At(g.rng.IntN(n))
		return name
	}
	newest, depth := "", -1
	for name, f := range g.state.Forks.All() {
		if f.Depth > depth {
			newest, depth = name, f.Depth
		}
	}
	return newest
}

// snapshot draws a snapshot that exists, or "" if there is none.
func (g *Generator) snapshot() string {
	n := g.state.Snapshots.Len()
	if n == 0 {
		return ""
	}
	if g.rng.Float64() < g.profile.Wrong {
		return "nowhere"
	}
	name, _ := g.state.Snapshots.At(g.rng.IntN(n))
	return name
}

// newFork makes up a name for a fork: most were never used, some were used by a
// fork that is gone, and a few are taken.
func (g *Generator) newFork() string { return g.newName("f", 40) }

func (g *Generator) newSnapshot() string { return g.newName("s", 20) }

func (g *Generator) newName(prefix string, reuse int) string {
	switch {
	case g.names > 0 && g.rng.IntN(reuse) == 0:
		return fmt.Sprintf("%s%d", prefix, 1+g.rng.IntN(g.names))
	case g.rng.IntN(reuse*2) == 0:
		return "main"
	}
	g.names++
	return fmt.Sprintf("%s%d", prefix, g.names)
}
