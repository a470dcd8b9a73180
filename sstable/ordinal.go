package sstable

// StandAt moves to the row of that number. It is SeekOrdinal for those who know the row
// to be alive, and most often stay in one block, where it costs no search.
func (it *Iter) StandAt(ordinal uint64) bool {
	if it.valid && it.dead == nil {
		if row := ordinal - it.r.index.entries[it.number].ordinal; row < uint64(it.block.rows) {
			it.row = int(row)
			it.show()
			return true
		}
	}
	return it.SeekOrdinal(ordinal)
}
