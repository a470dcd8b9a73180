package fuzz

import (
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs"
)

// deepest is the level of the check that every run ends with.
const deepest = engine.CheckDeep

// checkClean demands that the store's own check finds nothing at all, and no
// file that nothing reaches.
func checkClean(fs vfs.FS, dir string) error {
	report, err := engine.Check(dir, engine.CheckOptions{Level: deepest, FS: fs})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if !report.OK() || len(report.Problems)+len(report.Missing)+len(report.Leaked) > 0 {
		return fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return nil
}
