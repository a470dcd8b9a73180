package fuzz

import (
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// deepest is the level of the check that every run ends with.
const deepest = engine.CheckDeep

// checkTidy demands that the store's own check finds nothing at all, no file that
// nothing reaches, and none that is left over.
func checkTidy(fs vfs.FS, dir string) error {
	stale, err := checked(fs, dir)
	if err == nil && len(stale) > 0 {
		err = fmt.Errorf("check: left over are %v", stale)
	}
	return err
}

// checkClean demands the same of a store some of whose files could perhaps not be
// removed: what is left over must go when it is opened once more.
func checkClean(fs vfs.FS, dir string) error {
	stale, err := checked(fs, dir)
	if err != nil || len(stale) == 0 {
		return err
	}
	s, err := engine.Open(dir, &engine.Options{FS: fs, Manual: true, MustExist: true})
	if err != nil {
		return fmt.Errorf("open of a store with %v left over: %w", stale, err)
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("close of a store with %v left over: %w", stale, err)
	}
	return checkTidy(fs, dir)
}

// checked gives what is left over of a store in which nothing else may be wrong.
func checked(fs vfs.FS, dir string) (stale []string, err error) {
	report, err := engine.Check(dir, engine.CheckOptions{Level: deepest, FS: fs})
	if err != nil {
		return nil, fmt.Errorf("check: %w", err)
	}
	if !report.OK() || len(report.Problems)+len(report.Missing)+len(report.Leaked) > 0 {
		return nil, fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return report.Stale, nil
}

// checkKilled takes a quick look at what a process left that died after it had
// opened its store: that had removed by then what nothing names.
func checkKilled(fs *crashfs.FS) error {
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckQuick, FS: fs})
	if err != nil {
		return fmt.Errorf("check after recovery: %w", err)
	}
	if !report.OK() || len(report.Problems)+len(report.Missing) > 0 {
		return fmt.Errorf("check after recovery: problems %v, missing %v", report.Problems, report.Missing)
	}
	return nil
}
