package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// ErrUndecided says that orphans were not removed, because after a crash or with
// damage it is not proven that nothing needs them. Nothing was changed.
var ErrUndecided = errors.New("it is not proven that nothing needs the files")

// RepairOptions says how orphans are removed. The zero value is a good choice.
type RepairOptions struct {
	DryRun bool   // only tell what would be removed
	FS     vfs.FS // default: the operating system's
}

// RepairReport is what RepairOrphans did.
type RepairReport struct {
	Removed []string // or would be, with DryRun
	// Kept are table files that nothing reads any more but that the manifest still
	// names: a drop that it has not taken in yet. The next open for writing lets go
	// of them.
	Kept  []string
	Check *CheckReport // what the check before found
}

// RepairOrphans removes the table files, and the temporary of CURRENT, that
// nothing can need, without opening the store: what a crash left of unfinished
// work, or an unlink that failed. It changes nothing else, and files that no store
// makes are never touched.
//
// An open for writing removes them as well, after it has written a manifest of
// its own. RepairOrphans writes none, so it must be able to prove that the
// manifest it read is the one in force whatever happens next, and otherwise
// removes nothing and returns ErrUndecided, with ErrCorrupt if that is why:
//
//   - Nothing at all is damaged, missing or unreadable, blocks included: of a
//     damaged table the orphan may be the last good copy.
//   - Neither log nor manifest has a torn end.
//   - Every transaction of the manifest is durable, and says so: the one that let
//     go of a table may else be taken back by a power loss.
//   - There is no second manifest: CURRENT may have been renamed without its
//     directory being synced, and then the other one is in force after a power
//     loss.
//   - The manifest does not name the file in its present state, whatever the log
//     says: the end of the log may be taken back.
//   - Each file has a number that the manifest has given out.
//
// The directory is synced before the first file goes, and after the last. The
// error may also be ErrLocked or ErrReadOnly, or a failed removal or sync; what was
// removed before is in the report.
func RepairOrphans(dir string, o RepairOptions) (*RepairReport, error) {
	c, err := newChecker(dir, CheckOptions{Level: CheckFull, FS: o.FS})
	if err != nil {
		return nil, fmt.Errorf("repair: %w", err)
	}
	defer c.close()
	report := &RepairReport{Check: c.report}
	if err := c.repair(report, o.DryRun); err != nil {
		return report, fmt.Errorf("repair %s: %w", dir, err)
	}
	return report, nil
}

func (c *checker) repair(report *RepairReport, dryRun bool) error {
	if c.s.lock == nil && !dryRun {
		return fmt.Errorf("%w: the directory cannot be locked", ErrReadOnly)
	}
	if err := c.run(); err != nil {
		return err
	}
	if err := c.decided(); err != nil {
		return err
	}
	orphans := c.orphans(report)
	if dryRun || len(orphans) == 0 {
		report.Removed = orphans
		return nil
	}
	if err := c.s.fs.SyncDir(c.s.dir); err != nil {
		return err
	}
	for _, name := range orphans {
		if err := c.s.fs.Remove(path.Join(c.s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(fmt.Errorf("remove %s: %w", name, err), c.s.fs.SyncDir(c.s.dir))
		}
		report.Removed = append(report.Removed, name)
	}
	return c.s.fs.SyncDir(c.s.dir)
}

// decided tells, as an error, why the manifest that was read may not be the one
// in force after a power loss.
func (c *checker) decided() error {
	r := c.report
	switch {
	case !r.OK():
		return fmt.Errorf("%w: %w: an orphan may be the last good copy of something", ErrUndecided, ErrCorrupt)
	case r.TornManifest:
		return fmt.Errorf("%w: %s ends in an interrupted write at %d", ErrUndecided, r.TornManifestAt.File, r.TornManifestAt.Offset)
	case r.TornLog:
		return fmt.Errorf("%w: %s ends in an interrupted write at %d", ErrUndecided, r.TornLogAt.File, r.TornLogAt.Offset)
	case !c.manifest.Proven:
		return fmt.Errorf("%w: the end of %s may not be durable", ErrUndecided, c.manifest.Name)
	}
	for _, name := range r.Stale {
		if kind, _ := ids.ParseFileName(name); kind == ids.FileManifest {
			return fmt.Errorf("%w: there is a second manifest, %s beside %s", ErrUndecided, name, c.manifest.Name)
		}
	}
	return nil
}

// orphans lists what may go, and notes what must stay although nothing reads it.
func (c *checker) orphans(report *RepairReport) []string {
	var out []string
	for _, name := range c.report.Leaked {
		if _, num := ids.ParseFileName(name); c.stateNames(num) {
			report.Kept = append(report.Kept, name)
		} else {
			out = append(out, name)
		}
	}
	for _, name := range c.report.Stale {
		if name == currentTempName {
			out = append(out, name)
		}
	}
	return out
}
