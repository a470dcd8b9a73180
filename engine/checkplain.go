package engine

import (
	"bytes"
	"cmp"
	"container/heap"
	"math/rand/v2"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/tinedb/tine/engine/memtable"
	"github.com/tinedb/tine/forktree"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/sstable"
)

// plainWalk is the second reading of CheckDeep. It reads every row of every node
// once, all nodes side by side in key order, and asks for each key which nodes
// say something about it. A row changes the content of its node against that of
// the nearest node below with a row of that key; everything above inherits the
// change. A node that marks a row dead, or in whose memtable a range delete covers a
// key, says that its content lacks the key. So one pass gives the digest of every
// content, in O(rows × log nodes) time whatever the number of forks, and O(nodes)
// memory with one block for each run and the marks on each open table.
//
// Of the engine's reading code it shares the decoding of blocks and of vectors and
// the walk over one memtable, and nothing else: no view, no merge, no cache, no
// filter, no index search.
type plainWalk struct {
	tables   *sstable.Tables
	contents []*content
	places   []place // in the order of a walk of the tree, parents first
	sources  sourceHeap

	rng     *rand.Rand
	rate    float64 // lookups for each key
	lookups uint64

	placeOf map[*forktree.Node]int
	ranges  []ranged

	rows  []*source // those with the present key, by place
	said  []said    // what places say of the present key, by place
	stack []int
	buf   []byte
}

// said is what one place says of a key: a row, or that there is none.
type said struct {
	place int
	row   *source // nil: there is none
	sum   digest  // of the row, empty if it is a tombstone
}

// ranged is a place with a memtable in which range deletes are.
type ranged struct {
	place int
	mem   *memtable.Memtable
}

// place is a node, or the memtable of a fork, in the plain walk. The places
// above it are those from itself through last.
type place struct {
	last  int
	below int // the place of the older node, -1 for none
	delta digest
}

// source is the rows of one place in key order.
type source struct {
	place int
	key   []byte
	kind  iterator.Kind
	value []byte

	mem    iterator.Iterator // either
	run    *forktree.Run     // or
	next   int               // table of the run
	rows   *sstable.Rows
	opened *sstable.Meta

	ordinal uint32    // of the row behind the present one
	marked  marksHeap // in the opened table, not before the present row
	dead    []int     // places that mark the present row
}

const (
	// maxLookups bounds the sample of lookups of one check.
	maxLookups = 4096
	// checkSeed makes the sample the same at every check of the same store.
	checkSeed = 0x74696e65
)

func newPlainWalk(s *Store, contents []*content, bad map[*forktree.Node]bool) *plainWalk {
	w := &plainWalk{
		tables:   sstable.NewTables(s.fs, s.dir, sstable.NewCache(1), 16),
		contents: contents,
		rng:      rand.New(rand.NewPCG(checkSeed, 0)),
	}
	children := map[*forktree.Node][]*forktree.Node{}
	for _, n := range s.mu.tree.Nodes() {
		if !bad[n] {
			children[n.Older] = append(children[n.Older], n)
		}
	}
	memtables := map[*forktree.Node][]*content{}
	for _, c := range contents {
		if c.mem != nil {
			memtables[c.top] = append(memtables[c.top], c)
		}
	}
	// A walk of the tree with a stack of its own: a path may be long.
	placeOf := map[*forktree.Node]int{}
	w.placeOf = placeOf
	var keys uint64
	type step struct {
		node *forktree.Node
		done bool
	}
	enter := func(below int, src *source, rows uint64) int {
		at := len(w.places)
		w.places = append(w.places, place{last: at, below: below})
		src.place = at
		w.sources = append(w.sources, src)
		keys += rows
		return at
	}
	var steps []step
	push := func(n *forktree.Node, at int) {
		for _, c := range memtables[n] {
			c.place = enter(at, &source{mem: c.mem.NewIter(memtable.MaxLSN)}, uint64(c.mem.Len()))
			w.noteRanges(c.place, c.mem)
		}
		for _, child := range children[n] {
			steps = append(steps, step{node: child})
		}
	}
	push(nil, -1)
	for len(steps) > 0 {
		top := &steps[len(steps)-1]
		n := top.node
		if top.done {
			w.places[placeOf[n]].last = len(w.places) - 1
			steps = steps[:len(steps)-1]
			continue
		}
		top.done = true
		below := -1
		if n.Older != nil {
			below = placeOf[n.Older]
		}
		if n.Mem != nil {
			mem := n.Mem.(*memtable.Memtable)
			placeOf[n] = enter(below, &source{mem: mem.NewIter(memtable.MaxLSN)}, uint64(mem.Len()))
			w.noteRanges(placeOf[n], mem)
		} else {
			placeOf[n] = enter(below, &source{run: n.Run}, n.Run.Rows())
		}
		push(n, placeOf[n])
	}
	for _, c := range contents {
		if c.mem == nil {
			c.place = -1
			if c.top != nil {
				c.place = placeOf[c.top]
			}
		}
	}
	w.rate = maxLookups / float64(max(keys, 1))
	return w
}

// run reads everything and gives each content its digest.
func (w *plainWalk) run() error {
	defer w.tables.Close()
	all := w.sources
	w.sources = nil
	for _, src := range all {
		if err := w.advance(src); err != nil {
			return err
		}
	}
	for len(w.sources) > 0 {
		w.rows = w.rows[:0]
		key := w.sources[0].key
		for len(w.sources) > 0 && bytes.Equal(w.sources[0].key, key) {
			w.rows = append(w.rows, heap.Pop(&w.sources).(*source))
		}
		w.account()
		if err := w.sample(); err != nil {
			return err
		}
		for _, src := range w.rows {
			if err := w.advance(src); err != nil {
				return err
			}
		}
	}
	sums := make([]digest, len(w.places))
	for i := range w.places {
		if below := w.places[i].below; below >= 0 {
			sums[i] = sums[below]
		}
		sums[i].add(w.places[i].delta)
	}
	for _, c := range w.contents {
		if c.place >= 0 {
			c.plain = sums[c.place]
		}
	}
	return nil
}

func (w *plainWalk) noteRanges(place int, mem *memtable.Memtable) {
	if mem.HasRanges() {
		w.ranges = append(w.ranges, ranged{place, mem})
	}
}

// account enters the rows of one key. What places say of it comes in the order of
// their places, so the nearest one below is the last that is still open.
func (w *plainWalk) account() {
	w.listen()
	w.stack = w.stack[:0]
	for i, one := range w.said {
		for len(w.stack) > 0 && w.places[w.said[w.stack[len(w.stack)-1]].place].last < one.place {
			w.stack = w.stack[:len(w.stack)-1]
		}
		delta := &w.places[one.place].delta
		delta.add(one.sum)
		if len(w.stack) > 0 {
			delta.sub(w.said[w.stack[len(w.stack)-1]].sum)
		}
		w.stack = append(w.stack, i)
	}
}

// listen collects what places say of the present key. A node's own row is newer than
// its marks on older tables, and than its range deletes; a row of its own that it
// marks is not there.
func (w *plainWalk) listen() {
	w.said = w.said[:0]
	key := w.rows[0].key
	for _, src := range w.rows {
		one := said{place: src.place, row: src}
		if src.kind == iterator.Set {
			one.sum = rowDigest(&w.buf, src.key, src.value)
		}
		if slices.Contains(src.dead, src.place) {
			one = said{place: src.place}
		}
		w.said = append(w.said, one)
	}
	rows := len(w.said)
	silent := func(place int) bool {
		return !slices.ContainsFunc(w.said[:rows], func(s said) bool { return s.place == place })
	}
	for _, src := range w.rows {
		for _, place := range src.dead {
			// The marks of others on a table that is not on their path say nothing.
			if place > src.place && place <= w.places[src.place].last && silent(place) {
				w.said = append(w.said, said{place: place})
			}
		}
	}
	for _, r := range w.ranges {
		if r.mem.Covered(key, memtable.MaxLSN) && silent(r.place) {
			w.said = append(w.said, said{place: r.place})
		}
	}
	if len(w.said) > rows {
		slices.SortFunc(w.said, func(a, b said) int { return cmp.Compare(a.place, b.place) })
		w.said = slices.CompactFunc(w.said, func(a, b said) bool { return a.place == b.place })
	}
}

// sample looks the present key up in some contents, in all of them if the store
// is small.
func (w *plainWalk) sample() error {
	if w.rate >= float64(len(w.contents)) {
		for _, c := range w.contents {
			if err := w.lookup(c); err != nil {
				return err
			}
		}
		return nil
	}
	for n := w.rate; n > 0; n-- {
		if n < 1 && w.rng.Float64() >= n {
			break
		}
		if err := w.lookup(w.contents[w.rng.IntN(len(w.contents))]); err != nil {
			return err
		}
	}
	return nil
}

func (w *plainWalk) lookup(c *content) error {
	var newest *source // places nest, so the last that holds the content is the innermost
	for _, one := range w.said {
		if one.place <= c.place && c.place <= w.places[one.place].last {
			newest = one.row
		}
	}
	var want []byte
	found := newest != nil && newest.kind == iterator.Set
	if found {
		want = newest.value
	}
	w.lookups++
	text, err := c.lookup(w.rows[0].key, want, found)
	if err != nil {
		return err
	}
	if c.wrong == "" {
		c.wrong = text
	}
	return nil
}

// advance goes to the source's next row and puts it back among the sources, or
// ends it.
func (w *plainWalk) advance(src *source) error {
	ok, err := w.step(src)
	if err != nil {
		return err
	}
	if ok {
		heap.Push(&w.sources, src)
	}
	return nil
}

func (w *plainWalk) step(src *source) (bool, error) {
	if src.mem != nil {
		var ok bool
		if src.key == nil {
			ok = src.mem.First()
		} else {
			ok = src.mem.Next()
		}
		if ok {
			src.key, src.kind, src.value = src.mem.Key(), src.mem.Kind(), src.mem.Value()
		}
		return ok, nil
	}
	for {
		if src.rows != nil {
			if src.rows.Next() {
				src.key, src.kind, src.value = src.rows.Key(), src.rows.Kind(), src.rows.Value()
				src.count()
				return true, nil
			}
			if err := src.rows.Error(); err != nil {
				return false, err
			}
			w.tables.Forget(src.opened)
			src.rows = nil
		}
		if src.next == len(src.run.Tables) {
			return false, nil
		}
		w.openMarks(src, src.run.Tables[src.next])
		src.opened = src.run.Tables[src.next].Place.Meta()
		src.next++
		reader, err := w.tables.Reader(src.opened)
		if err != nil {
			return false, err
		}
		src.rows = reader.Rows()
	}
}

// openMarks lists who marks rows of a table that is about to be read.
func (w *plainWalk) openMarks(src *source, tb *forktree.Table) {
	src.ordinal, src.marked = 0, src.marked[:0]
	for _, m := range tb.Marked() {
		if place, ok := w.placeOf[m.Node]; ok {
			rows := m.Vector.Bitmap().Iterator()
			src.marked = append(src.marked, marksAt{next: rows.Next(), rows: rows, place: place})
		}
	}
	heap.Init(&src.marked)
}

// count notes who marks the present row.
func (src *source) count() {
	src.dead = src.dead[:0]
	for len(src.marked) > 0 && src.marked[0].next == src.ordinal {
		first := &src.marked[0]
		src.dead = append(src.dead, first.place)
		if !first.rows.HasNext() {
			heap.Pop(&src.marked)
			continue
		}
		first.next = first.rows.Next()
		heap.Fix(&src.marked, 0)
	}
	src.ordinal++
}

// marksAt walks over the rows of an open table that the node at a place marks.
type marksAt struct {
	next  uint32
	rows  roaring.IntPeekable
	place int
}

// marksHeap has the marks with the least next row on top.
type marksHeap []marksAt

func (h marksHeap) Len() int           { return len(h) }
func (h marksHeap) Less(i, j int) bool { return h[i].next < h[j].next }
func (h marksHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *marksHeap) Push(x any)        { *h = append(*h, x.(marksAt)) }
func (h *marksHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// sourceHeap has the source with the least key on top, of equal ones that with
// the lowest place.
type sourceHeap []*source

func (h sourceHeap) Len() int { return len(h) }
func (h sourceHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].key, h[j].key); c != 0 {
		return c < 0
	}
	return h[i].place < h[j].place
}
func (h sourceHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *sourceHeap) Push(x any)   { *h = append(*h, x.(*source)) }
func (h *sourceHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
