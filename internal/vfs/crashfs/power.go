package crashfs

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// AfterKill gives what the next process sees when this one died: every
// completed write and name, no locks, no handles. What was volatile still is:
// recovery may read bytes that a power loss during recovery takes away. The
// image is independent of its source.
func (f *FS) AfterKill() *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	copies := map[*inode]*inode{nil: nil}
	twin := func(n *inode) *inode {
		c, ok := copies[n]
		if !ok {
			c = n.copy()
			copies[n] = c
		}
		return c
	}
	image := New()
	image.capacity = f.capacity
	image.now, image.durable = f.now.copy(), f.durable.copy()
	for name, n := range image.now.files {
		image.now.files[name] = twin(n)
		image.used += n.size
	}
	for name, n := range image.durable.files {
		image.durable.files[name] = twin(n)
	}
	image.pending = slices.Clone(f.pending)
	for i := range image.pending {
		image.pending[i].file = twin(image.pending[i].file)
	}
	return image
}

// PowerLoss gives one of the images that a power loss may leave, drawn from r:
// the same numbers give the same image. In it everything is durable.
//
// Each pending name operation survives or not on its own. Of each file the
// length is between the durable one and the last one, and each sector has, in
// the bytes that were written since the last sync, the old bytes, the new ones,
// those of some of the writes, zeros or garbage. Synced bytes stay what they
// are, also in a sector that was written again elsewhere. Of what a failed sync gave
// up, each sector has the old bytes or the new ones or is torn between them, whatever
// was synced later.
//
// The draws are not uniform: whole files that kept all or nothing, and kept
// all up to some sector, come often, because that is where recovery decides.
func (f *FS) PowerLoss(r *rand.Rand) *FS {
	return f.powerLoss(&randomFates{r: r, survival: [...]uint64{2, 8, 8, 14}[r.IntN(4)]})
}

// PowerLossStrict gives the image in which nothing volatile survived.
func (f *FS) PowerLossStrict() *FS { return f.powerLoss(nothingSurvives{}) }

// PowerLossAll gives the image in which everything survived but the data that
// a failed sync gave up. Unlike after AfterKill, it is durable.
func (f *FS) PowerLossAll() *FS { return f.powerLoss(allSurvives{}) }

// fate is what becomes of the volatile bytes of a sector.
type fate int

const (
	fateOld     fate = iota
	fateNew          // all writes arrived
	fateSome         // only the first few writes arrived
	fateZero         // the space was reserved, the data never came
	fateGarbage      // torn, or what the space held before
	fateCount
)

// salvage is what becomes of the bytes of a sector that a failed sync gave up.
type salvage int

const (
	salvageOld  salvage = iota
	salvageNew          // the write arrived, and the error was about another one
	salvageTorn         // the new bytes up to some byte, then the old ones
	salvageCount
)

// fates decides for one image. It is asked in a fixed order.
type fates interface {
	survives() bool
	beginFile(dirtySectors int)
	length(durable, now int64) int64
	sector() fate
	random() *rand.Rand // for fateSome and fateGarbage, and for torn salvage
	beginSalvage()      // of a file, only if a failed sync gave up some of it
	salvage() salvage
}

func (f *FS) powerLoss(fates fates) *FS {
	f.mu.Lock()
	defer f.mu.Unlock()
	image := New()
	image.capacity = f.capacity
	names := f.durable.copy()
	for i := range f.pending {
		if fates.survives() {
			names.apply(&f.pending[i])
		}
	}
	order := make([]string, 0, len(names.files))
	for name := range names.files {
		if names.reaches(parent(name)) {
			order = append(order, name)
		}
	}
	slices.Sort(order)
	// A file has one name, unless a stuck operation was overruled for one of its
	// names only; then both show the same file.
	images := make(map[*inode]*inode, len(order))
	for _, name := range order {
		n := names.files[name]
		if images[n] == nil {
			images[n] = n.afterPowerLoss(fates)
			image.used += images[n].size
		}
		image.now.files[name] = images[n]
	}
	for dir := range names.dirs {
		if names.reaches(dir) {
			image.now.dirs[dir] = true
		}
	}
	image.durable = image.now.copy()
	return image
}

// reaches tells whether the directory and all above it are there.
func (t tree) reaches(dir string) bool {
	for ; dir != ""; dir = parent(dir) {
		if !t.dirs[dir] {
			return false
		}
	}
	return true
}

// afterPowerLoss makes the file as the fates leave it. It copies only pages in
// which some sector's fate differs from the others'.
func (n *inode) afterPowerLoss(fates fates) *inode {
	sectors := 0
	for i := n.dirtyLo; i < n.dirtyHi; i++ {
		sectors += bits.OnesCount8(n.slots[i].dirtySectors())
	}
	fates.beginFile(sectors)
	if n.stale() {
		fates.beginSalvage()
	}
	size := n.durSize
	if size < n.size {
		size = fates.length(n.durSize, n.size)
	}
	pages := min(len(n.slots), int((size+pageBytes-1)/pageBytes))
	lost := &inode{size: size, durSize: size, named: true, slots: make([]slot, pages)}
	for i := range n.slots {
		p := n.slots[i].afterPowerLoss(fates) // also behind the end: one fate per sector
		if i >= pages {
			continue
		}
		if end := size - int64(i)*pageBytes; end < pageBytes && p != nil {
			cut := *p
			clear(cut[end:])
			p = &cut
		}
		lost.slots[i] = slot{cur: p, dur: p}
	}
	return lost
}

// stale tells whether a failed sync gave up anything that is not on disk since.
func (n *inode) stale() bool {
	for i := range n.slots {
		if n.slots[i].stale {
			return true
		}
	}
	return false
}

// dirtySectors gives a bit for each sector that has volatile bytes.
func (s *slot) dirtySectors() uint8 {
	var set uint8
	for _, e := range s.dirty {
		for at := int(e.lo) / sectorBytes; at <= int(e.hi-1)/sectorBytes; at++ {
			set |= 1 << at
		}
	}
	return set
}

func (s *slot) afterPowerLoss(fates fates) *page {
	before := s.dur
	if s.stale {
		before = s.salvaged(fates)
	}
	dirty := s.dirtySectors()
	if dirty == 0 {
		return before
	}
	var chosen [pageBytes / sectorBytes]fate
	allOld, allNew := true, !s.stale
	for at := range chosen {
		if dirty&(1<<at) != 0 {
			chosen[at] = fates.sector()
			allOld = allOld && chosen[at] == fateOld
			allNew = allNew && chosen[at] == fateNew
		}
	}
	if allOld {
		return before
	}
	if allNew {
		s.own = false
		return s.cur
	}
	p := new(page)
	if before != nil {
		*p = *before
	}
	for at, fate := range chosen {
		if dirty&(1<<at) != 0 {
			s.loseSector(p, uint16(at*sectorBytes), fate, fates.random())
		}
	}
	return p
}

// salvaged gives the page as failed syncs left it on disk. What was written since
// the last sync is not in it: its fate is another one.
func (s *slot) salvaged(fates fates) *page {
	var old page
	if s.dur != nil {
		old = *s.dur
	}
	arrived := *s.cur
	for _, e := range s.dirty {
		copy(arrived[e.lo:e.hi], old[e.lo:e.hi])
	}
	p := s.dur
	for start := 0; start < pageBytes; start += sectorBytes {
		if [sectorBytes]byte(arrived[start:]) == [sectorBytes]byte(old[start:]) {
			continue
		}
		end := start
		switch fates.salvage() {
		case salvageOld:
		case salvageNew:
			end += sectorBytes
		case salvageTorn:
			end += fates.random().IntN(sectorBytes)
		}
		if end == start {
			continue
		}
		if p == s.dur { // shared
			fresh := old
			p = &fresh
		}
		copy(p[start:end], arrived[start:end])
	}
	return p
}

// loseSector writes one sector of p, which holds what was there before.
func (s *slot) loseSector(p *page, start uint16, fate fate, r *rand.Rand) {
	var touched []extent
	for _, e := range s.dirty {
		if e := (extent{max(e.lo, start), min(e.hi, start+sectorBytes)}); e.lo < e.hi {
			touched = append(touched, e)
		}
	}
	arrive := func(writes []extent) {
		for _, e := range writes {
			copy(p[e.lo:e.hi], s.cur[e.lo:e.hi])
		}
	}
	switch fate {
	case fateOld:
	case fateNew:
		arrive(touched)
	case fateSome:
		// Where a later write covers an earlier one, its bytes are taken for the
		// earlier one's too: those are not kept.
		arrive(touched[:r.IntN(len(touched)+1)])
	case fateZero:
		for _, e := range touched {
			clear(p[e.lo:e.hi])
		}
	case fateGarbage:
		s.tear(p, start, touched, r)
	}
}

// tear makes garbage of the touched bytes: noise throughout, or the new bytes up
// to some byte and then noise or the old ones.
func (s *slot) tear(p *page, start uint16, touched []extent, r *rand.Rand) {
	kind, from := r.IntN(3), start
	if kind > 0 {
		from += uint16(r.IntN(sectorBytes))
	}
	var noise [sectorBytes]byte
	if kind < 2 {
		for i := 0; i < sectorBytes; i += 8 {
			v := r.Uint64()
			for j := range 8 {
				noise[i+j] = byte(v >> (8 * j))
			}
		}
	}
	for _, e := range touched {
		for at := e.lo; at < e.hi; at++ {
			switch {
			case at < from:
				p[at] = s.cur[at]
			case kind < 2:
				p[at] = noise[at-start]
			}
		}
	}
}
