package golden

import (
	_ "embed"
	"fmt"
	"path"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/manifest"
)

//go:embed script.txt
var script string

// config is how golden stores are made: every file small, so that a few rows need
// several blocks, tables and segments.
func config() fuzz.Config {
	return fuzz.Config{Name: "golden", Options: engine.Options{
		Manual: true, MemtableBytes: 64 << 10, SegmentBytes: 4 << 10, TableBytes: 1 << 10, BlockBytes: 512, MaxOpenFiles: 4,
	}}
}

// generate makes the stores of the version that this program writes. What they
// should hold comes from the model. With a clock and random numbers that repeat,
// so do all bytes.
func generate() ([]Store, error) {
	list, err := ops.Parse(strings.NewReader(script))
	if err != nil {
		return nil, fmt.Errorf("script.txt: %w", err)
	}
	disk := crashfs.New()
	d, err := fuzz.OpenDriver(disk, storeDir, config(), nil, fuzz.NewCounts())
	if err != nil {
		return nil, err
	}
	state := model.New()
	for _, op := range list {
		if err := d.Do(op); err != nil {
			return nil, err
		}
		var refusal error
		if state, refusal = ops.Apply(state, op); refusal != nil {
			return nil, fmt.Errorf("%s: refused: %w", op, refusal)
		}
	}
	torn, err := generateTorn(d, disk)
	if err != nil {
		return nil, err
	}
	if err := d.Close(); err != nil {
		return nil, err
	}
	closed, err := readMemory(disk)
	if err != nil {
		return nil, err
	}
	versions, err := versionsOf(closed)
	if err != nil {
		return nil, err
	}
	// The closed store has the write that is torn in the other one.
	more, err := ops.Apply(state, unfinished)
	if err != nil {
		return nil, err
	}
	return []Store{
		{versions.String(), closedStore, closed, more},
		{versions.String(), tornStore, torn, state},
	}, nil
}

// unfinished is the operation under which the torn store crashed.
var unfinished = ops.Op{N: 1000, Kind: ops.Put, Fork: model.MainFork, Key: "torn", Size: 200, NoSync: true}

// generateTorn does one more write and gives the files as a kill in the middle of
// it leaves them, and in the middle of a write to the manifest.
func generateTorn(d *fuzz.Driver, disk *crashfs.FS) (Files, error) {
	if err := d.Do(unfinished); err != nil {
		return nil, err
	}
	image := disk.AfterKill()
	_, info, err := manifest.Load(image, storeDir)
	if err != nil {
		return nil, err
	}
	files, err := readMemory(image)
	if err != nil {
		return nil, err
	}
	copy(files[info.Name][info.Bytes:], "TXNE\x40\x00\x00\x00")
	name, record := "", -1
	for candidate, content := range files {
		if at := strings.LastIndex(string(content), `key "torn"`); kindOf(candidate) == segmentFile && at >= 0 {
			name, record = candidate, at
		}
	}
	if record < 0 {
		return nil, fmt.Errorf("the last write is in no segment of %s", path.Join(storeDir, ids.SegmentName(0)))
	}
	clear(files[name][record+100:]) // what follows in the file had not been written
	return files, nil
}
