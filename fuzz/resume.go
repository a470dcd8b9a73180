package fuzz

import (
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Resume makes a driver for a store that exists and should hold state. Whether it
// does is for an operation Check to say. Without a history, crashes of what is
// done from here on cannot be judged.
func Resume(fs vfs.FS, dir string, c Config, state model.State, counts *Counts) (*Driver, error) {
	d := &Driver{
		options: c.Options, dir: dir, state: state, counts: counts,
		held: map[int]*held{}, writtenIn: map[int]bool{},
	}
	d.options.FS, d.options.MustExist = fs, true
	if memory, ok := fs.(*crashfs.FS); ok {
		d.openHandles = memory.OpenFiles
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	return d, nil
}
