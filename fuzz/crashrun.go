package fuzz

import (
	"errors"
	"math/rand/v2"

	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// crashes says at which calls of a run images are made, how many, and how hard
// they are judged.
type crashes struct {
	config   Config
	seed     uint64
	creation bool // images of the making of the store too
	from     int  // no images before this operation of the list
	stride   int  // images at every stride-th call
	closing  int  // of the calls of the close, at every closing-th only; 0: as before
	single   bool // one image a call, of a kind that is drawn; else a kill, the strictest power loss, and
	powers   int  // as many power losses that are drawn
	depth    int  // how many recoveries in a row are crashed again
	goOn     int  // one image in so many is written on

	// For the tests of the harness itself.
	under func(vfs.FS) vfs.FS // what the store's calls go through; nil: nothing
	kills bool                // no power is ever lost
}

// thorough makes images of all kinds at every call: for looking again at a list
// that has failed.
func (p crashes) thorough() crashes {
	p.from, p.stride, p.closing, p.single, p.powers, p.depth = 0, 1, 0, false, 3, 1
	return p
}

// run does a list to a new store and judges the images of a crash at every call
// to the file system. A failure comes with its list.
func (p crashes) run(name string, list []ops.Op, counts *Counts) error {
	err := p.runOn(newDisk(), list, counts)
	if err == nil {
		return nil
	}
	again := func(list []ops.Op) error { return p.thorough().runOn(newDisk(), list, NewCounts()) }
	return &Failure{Name: name, List: list, Err: err, Again: again}
}

func (p crashes) runOn(fs *crashfs.FS, list []ops.Op, counts *Counts) error {
	history := NewHistory()
	cam := &camera{
		fs: fs, history: history, counts: counts, powers: p.powers, single: p.single, kills: p.kills, stride: p.stride,
		rng: rand.New(rand.NewPCG(p.seed, 3)), paused: !p.creation,
	}
	history.begin("open", nil)
	var below vfs.FS = fs
	if p.under != nil {
		below = p.under(fs)
	}
	d, err := OpenDriver(&tap{below, cam.snap}, storeDir, p.config, history, counts)
	if err != nil {
		return err
	}
	for i, op := range list {
		if i == p.from {
			cam.pause(false)
		}
		if err := d.Do(op); err != nil {
			d.abandon()
			return err
		}
	}
	cam.pause(false)
	cam.thin(p.closing)
	history.begin("close", nil)
	if err := d.Close(); err != nil {
		return err
	}
	judge := &Judge{history: history, config: p.config, counts: counts, depth: p.depth, goOn: p.goOn, kills: p.kills}
	images := cam.images
	return parallel(len(images), func(i int) error {
		defer func() { images[i].FS = nil }() // they are many
		return judge.Verdict(images[i])
	})
}

// newDisk is a file system on which the store's directory is there for good.
func newDisk() *crashfs.FS {
	fs := crashfs.New()
	if err := errors.Join(fs.MkdirAll(storeDir), fs.SyncDir(".")); err != nil {
		panic(err)
	}
	return fs
}
