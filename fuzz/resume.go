package fuzz

import (
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Resume makes a driver for a store that exists and should hold state. Whether it
// does is for an operation Check to say; but whose child a fork is, and when it was
// made, is believed from the store, for a state that was written down by names does
// not know it. Without a history, crashes of what is done from here on cannot be
// judged.
func Resume(fs vfs.FS, dir string, c Config, state model.State, counts *Counts) (*Driver, error) {
	d := &Driver{
		options: c.Opening(counts), dir: dir, state: state, counts: counts,
		held: map[int]*held{}, writtenIn: map[int]bool{},
	}
	d.options.FS, d.options.MustExist = fs, true
	if memory, ok := fs.(*crashfs.FS); ok {
		d.openHandles = memory.OpenFiles
	}
	if err := d.open(); err != nil {
		return nil, err
	}
	view := state.View()
	kin, err := listed(d.store).kin()
	if err != nil {
		d.abandon()
		return nil, err
	}
	view.Kin = kin
	d.state, d.births = view.State(), newBirths()
	return d, d.sameBirths()
}
