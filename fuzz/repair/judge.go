package repair

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// powerLosses is how often the power goes after a repair that removed something.
const powerLosses = 4

// judge repairs an image and looks at what a power loss then leaves.
func judge(image *crashfs.FS, rng *rand.Rand, counts *fuzz.Counts) error {
	before, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckDeep, FS: image})
	if errors.Is(err, engine.ErrNotStore) {
		counts.Add("images without a store", 1)
		return nil
	}
	if err != nil || !before.OK() {
		return fmt.Errorf("before the repair: %w: %v", err, before)
	}
	counts.Add("images", 1)
	if len(before.Leaked) > 0 {
		counts.Add("images with orphans", 1)
	}
	names, files := image.Volatile()
	durable := names+files == 0
	r, err := engine.RepairOrphans(storeDir, engine.RepairOptions{FS: image})
	switch {
	case errors.Is(err, engine.ErrUndecided):
		if len(before.Leaked) > 0 {
			counts.Add("orphans left because "+reason(err), 1)
		}
		return nil
	case err != nil:
		return fmt.Errorf("repair: %w", err)
	}
	counts.Add("tables kept because the manifest names them", len(r.Kept))
	if len(r.Removed) == 0 {
		return nil
	}
	counts.Add("repairs", 1)
	counts.Add("files removed", len(r.Removed))
	after, err := whole(image.AfterKill(), "after the repair")
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(before.Hashes, after.Hashes) {
		return fmt.Errorf("the repair removed %v and changed contents: %v, then %v", r.Removed, before.Hashes, after.Hashes)
	}
	for i := range powerLosses {
		var left *crashfs.FS
		switch i {
		case 0:
			left = image.PowerLossStrict()
		case 1:
			left = image.PowerLossAll()
		default:
			left = image.PowerLoss(rng)
		}
		found, err := whole(left, fmt.Sprintf("the repair removed %v, and then the power went", r.Removed))
		if err != nil {
			return err
		}
		if durable {
			counts.Add("power losses after a repair of what was all durable", 1)
			if !reflect.DeepEqual(before.Hashes, found.Hashes) {
				return fmt.Errorf("the repair removed %v, and a power loss changed contents: %v, then %v", r.Removed, before.Hashes, found.Hashes)
			}
		}
		counts.Add("power losses after a repair", 1)
	}
	return nil
}

// whole demands that nothing is damaged or missing, and that the store opens.
func whole(disk *crashfs.FS, when string) (*engine.CheckReport, error) {
	report, err := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckDeep, FS: disk})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", when, err)
	}
	if !report.OK() {
		return nil, fmt.Errorf("%s: problems %v, missing %v", when, report.Problems, report.Missing)
	}
	s, err := engine.Open(storeDir, options(disk))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", when, err)
	}
	return report, errors.Join(s.Verify(), s.Close())
}

// reason is why a repair was refused, without the names of files.
func reason(err error) string {
	for _, part := range []string{"second manifest", "may not be durable", "wal ends in an interrupted write", "ends in an interrupted write"} {
		if strings.Contains(err.Error(), part) {
			return part
		}
	}
	return "damage"
}
