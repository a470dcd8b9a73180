package fuzz

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
)

// checkClean demands that the store's own check finds nothing at all, and no
// file that nothing reaches.
func checkClean(fs vfs.FS, dir string) error {
	report, err := engine.Check(dir, engine.CheckOptions{Level: engine.CheckFull, FS: fs})
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	if !report.OK() || len(report.Problems)+len(report.Missing)+len(report.Leaked) > 0 {
		return fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return nil
}

// shrinks tells whether a list that fails is to be cut down. TINE_SHRINK=0 says
// that nobody will look at it.
func shrinks() bool { return os.Getenv("TINE_SHRINK") != "0" }

// Save writes a list that fails to a file in the directory for temporary files
// and tells where, in words for a report. Put it into testdata/ops, and it is
// replayed for ever.
func Save(name string, list []ops.Op) string {
	var text bytes.Buffer
	if err := ops.Format(&text, list); err != nil {
		return err.Error()
	}
	file := filepath.Join(os.TempDir(), "tine-"+name+".txt")
	if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
		return err.Error()
	}
	shown := text.String()
	if len(list) > 60 {
		shown = fmt.Sprintf("(%d operations)\n", len(list))
	}
	return fmt.Sprintf("saved as %s:\n%s", file, shown)
}
