package compaction

// Policy is what the picker aims at. A zero field means its default.
//
// Each bound holds for every path that begins at an entered node, once the
// picker is at rest and no job holds a claim.
type Policy struct {
	// MaxMemory bounds the memtables that lie on a path with no table between
	// them. Lower: faster reads, more copying. Default 4.
	MaxMemory int
	// MaxRuns bounds the runs in tables on a path above its oldest run, the base.
	// Lower: faster reads, more rewriting: a chain of 10 000 forks, all kept,
	// rewrites a row about 7 times at 8 and 16 times at 4. Default 8.
	MaxRuns int
	// MaxNodes bounds the nodes of a path. The two bounds above nearly always
	// keep it; it matters where tables and memtables alternate. Default 32.
	MaxNodes int
	// MinMerge is how many neighbouring runs of similar size, with no branch
	// point among them, are merged. Default 4.
	MinMerge int
	// MaxSizeRatio is how many times larger than the largest newer one a run may
	// be to count as of similar size. Default 2.
	MaxSizeRatio float64
	// MaxSpaceRatio is the share of the base that the runs above it may reach
	// before all are merged into it, if no branch point lies among them. Lower:
	// less garbage, more rewriting. Default 0.5.
	MaxSpaceRatio float64
	// MaxTombstoneRatio is the share of the rows that may be tombstones where a
	// merge down to the root would drop them. Default 0.25.
	MaxTombstoneRatio float64
	// MaxDeadRatio is the share of a table's rows that may be dead for everybody
	// before the table is written again without them: a row that goes pays for at
	// most 1/MaxDeadRatio - 1 that are copied. It is for those who say which items
	// are Rotten. Default 0.25.
	MaxDeadRatio float64
	// MaxSharedDeadRatio is the share of a run's rows that may be dead on a path
	// while others still see them, before the path gets a run of its own without
	// them. That takes space instead of giving some back, and makes reads of the
	// path cheaper: so it is the larger of the two. Default 0.5.
	MaxSharedDeadRatio float64
	// MaxShadowedRatio is the share of the bytes of some runs, with no branch point
	// among them, that newer ones of them may shadow when nothing is written any more;
	// see PickShadowed. Lower: less garbage at rest; more rewriting where writing stops
	// and goes on again, at most 1/MaxShadowedRatio bytes for each that comes back.
	// Default 0.05.
	MaxShadowedRatio float64
}

// DefaultPolicy gives the defaults, written out.
func DefaultPolicy() Policy {
	return Policy{
		MaxMemory: 4, MaxRuns: 8, MaxNodes: 32,
		MinMerge: 4, MaxSizeRatio: 2,
		MaxSpaceRatio: 0.5, MaxTombstoneRatio: 0.25,
		MaxDeadRatio: 0.25, MaxSharedDeadRatio: 0.5, MaxShadowedRatio: 0.05,
	}
}

func (p Policy) withDefaults() Policy {
	d := DefaultPolicy()
	if p.MaxMemory > 0 {
		d.MaxMemory = p.MaxMemory
	}
	if p.MaxRuns > 0 {
		d.MaxRuns = p.MaxRuns
	}
	if p.MaxNodes > 0 {
		d.MaxNodes = p.MaxNodes
	}
	if p.MinMerge > 0 {
		d.MinMerge = max(p.MinMerge, 2) // one run is never merged with itself
	}
	if p.MaxSizeRatio > 0 {
		d.MaxSizeRatio = p.MaxSizeRatio
	}
	if p.MaxSpaceRatio > 0 {
		d.MaxSpaceRatio = p.MaxSpaceRatio
	}
	if p.MaxTombstoneRatio > 0 {
		d.MaxTombstoneRatio = p.MaxTombstoneRatio
	}
	if p.MaxDeadRatio > 0 {
		d.MaxDeadRatio = p.MaxDeadRatio
	}
	if p.MaxSharedDeadRatio > 0 {
		d.MaxSharedDeadRatio = p.MaxSharedDeadRatio
	}
	if p.MaxShadowedRatio > 0 {
		d.MaxShadowedRatio = p.MaxShadowedRatio
	}
	return d
}
