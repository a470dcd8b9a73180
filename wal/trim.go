package wal

import (
	"fmt"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
)

// Trim removes the oldest segments as long as all their records are below lo,
// never the current one, one Remove call each, oldest first, and returns their
// numbers. Replay with from = lo still works then, also if a power loss undoes
// some of the removals. On an error the segments removed so far are returned
// beside it and the rest stays. A poisoned log is not trimmed.
func (l *Log) Trim(lo ids.LSN) (removed []ids.FileNum, err error) {
	l.grow.Lock()
	defer l.grow.Unlock()
	for {
		l.mu.Lock()
		if err := l.usableLocked(); err != nil {
			l.mu.Unlock()
			return removed, fmt.Errorf("wal: trim below %d: %w", lo, err)
		}
		if len(l.sealed) == 0 || l.sealed[0].LastLSN >= lo {
			l.mu.Unlock()
			return removed, nil
		}
		number := l.sealed[0].Number
		l.mu.Unlock()
		l.opts.Schedule.Reach(schedule.LogTrimming)
		if err := removeSegment(l.fs, l.dir, number); err != nil {
			return removed, err
		}
		removed = append(removed, number)
		l.mu.Lock()
		l.sealed = append(l.sealed[:0], l.sealed[1:]...)
		l.mu.Unlock()
	}
}
