package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/wal"
)

// currentTempName is the name under which a new CURRENT is written.
const currentTempName = ids.CurrentName + ".tmp"

// removeOrphans removes the files of the store's own kinds that nothing names:
// outputs of jobs that a crash ended, tables that recovery found unreachable, old
// manifests, segments that are no part of the log. The new manifest is durable by
// now; what was read of the old one may not have been, so it could not have said
// which files may go. Files of other kinds are left alone.
func (s *Store) removeOrphans(rec *wal.Recovered) error {
	leftover := map[ids.FileNum]bool{}
	if rec != nil {
		for _, n := range rec.Leftover {
			leftover[n] = true
		}
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		var orphan bool
		switch kind, num := ids.ParseFileName(name); kind {
		case ids.FileTable:
			orphan = !s.mu.tree.HasFile(num)
		case ids.FileManifest:
			orphan = num != s.man.FileNum()
		case ids.FileSegment:
			orphan = leftover[num]
		default:
			orphan = name == currentTempName
		}
		if !orphan {
			continue
		}
		s.opts.Schedule.Reach(schedule.OrphanRemoving)
		if err := s.fs.Remove(path.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove orphan %s: %w", name, err)
		}
		s.opts.Logger.Info("removed an orphan", "file", name)
	}
	return nil
}
