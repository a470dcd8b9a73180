package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPlansHaveTheWorkloadsPartsAndThreadsWriteRowsOfTheirOwn(t *testing.T) {
	n := ycsbSizes{rows: 10_000, ops: 50_000}
	z := newZipf(n.rows, ycsbSkew)
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			require.Equal(t, 100, w.read+w.update+w.insert+w.scan+w.readMod)
			count := map[action]int{}
			total := 0
			for thread, plan := range w.plans(n, z) {
				there := n.rows // all rows below it and this thread's own
				for _, s := range plan {
					total++
					count[s.do]++
					row := int(s.row)
					switch s.do {
					case actInsert:
						require.GreaterOrEqual(t, row, there, "an insert is of a new row")
						there = row + 1
						require.Equal(t, thread, row%ycsbThreads)
					case actUpdate, actReadModify:
						require.Equal(t, thread, row%ycsbThreads)
						require.Less(t, row, n.rows)
					case actRead:
						require.Less(t, row, there)
						require.True(t, row < n.rows || row%ycsbThreads == thread, "rows of the other thread may not be there yet")
					case actScan:
						require.Positive(t, s.length)
						require.LessOrEqual(t, int(s.length), ycsbScan)
					}
				}
			}
			for do, percent := range map[action]int{actRead: w.read, actUpdate: w.update, actInsert: w.insert, actScan: w.scan, actReadModify: w.readMod} {
				require.InDelta(t, percent, float64(count[do])*100/float64(total), 1.5, "%v", do)
			}
			require.Equal(t, w.plans(n, z), w.plans(n, z), "every store gets the same")
		})
	}
}

func TestReadsOfTheLatestPreferWhatTheThreadHasInserted(t *testing.T) {
	n := ycsbSizes{rows: 10_000, ops: 50_000}
	inserted, newRows, reads := 0, 0, 0
	for _, s := range workloads[3].plans(n, newZipf(n.rows, ycsbSkew))[0] {
		switch {
		case s.do == actInsert:
			inserted++
		case inserted > 500:
			reads++
			if int(s.row) >= n.rows {
				newRows++
			}
		}
	}
	require.Greater(t, float64(newRows)/float64(reads), 0.5)
}
