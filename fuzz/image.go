package fuzz

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// Image is what a crash would leave behind, and what was promised at that
// moment.
type Image struct {
	FS     *crashfs.FS
	Low    int    // the operations that must be there
	High   int    // those that may be there
	Synced int    // those that no further power loss may take away
	Making bool   // the store is being made: what is there may yet be made anew
	How    string // what died, and where
	Seed   uint64 // for what is drawn while it is judged
}

// camera makes images at the calls of a run. It may be used concurrently, as
// the store calls its file system from several goroutines.
type camera struct {
	fs      *crashfs.FS
	history *History
	counts  *Counts
	powers  int  // random power losses at each call, beside the three extremes
	kills   bool // no power losses at all
	single  bool // instead of all that one image, of a kind that is drawn
	stride  int  // images at every stride-th call only
	paused  bool
	rewrite bool // a manifest is being rewritten

	mu     sync.Mutex
	rng    *rand.Rand
	calls  int
	images []Image
}

// snap makes the images of one moment: before the call happens. What has been
// acknowledged is read before the image is made and what was begun after it: in
// between, background work may move on, and so may promises.
func (c *camera) snap(call, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	c.watch(call, name)
	if call == "remove" && strings.Contains(name, "/MANIFEST-") {
		defer func() { c.rewrite = false }()
	}
	if c.paused || c.calls%c.stride != 0 {
		return
	}
	before := c.history.now()
	var made []Image
	add := func(fs *crashfs.FS, low int, how string) {
		made = append(made, Image{
			FS: fs, Low: low, Synced: before.Synced, Seed: c.rng.Uint64(), Making: before.Phase == "open",
			How: fmt.Sprintf("%s during %s, before call %d: %s %s", how, before.Phase, c.calls, call, name),
		})
	}
	kill := func() { add(c.fs.AfterKill(), before.Acknowledged, "process killed") }
	strict := func() { add(c.fs.PowerLossStrict(), before.Synced, "power lost, nothing unsynced kept") }
	power := func() {
		seed := c.rng.Uint64()
		add(c.fs.PowerLoss(rand.New(rand.NewPCG(seed, 0))), before.Synced, fmt.Sprintf("power lost, seed %d", seed))
	}
	names, files := c.fs.Volatile()
	switch {
	case c.kills || names+files == 0: // all images would be equal, and the kill's promise is the strongest
		kill()
	case c.single:
		[]func(){kill, strict, power, power}[c.rng.IntN(4)]()
	default:
		kill()
		strict()
		for range c.powers {
			power()
		}
	}
	after := c.history.now()
	for i := range made {
		made[i].High = after.Begun
	}
	c.images = append(c.images, made...)
	c.count(before.Phase, call, name, len(made))
}

// watch follows the rewrites of the manifest, from the making of a new one in a store
// that is open to the removal of the old one.
func (c *camera) watch(call, name string) {
	phase := c.history.now().Phase
	manifest := strings.Contains(name, "/MANIFEST-")
	switch {
	case phase == "open" || phase == "reopen":
		c.rewrite = false
	case manifest && call == "create":
		c.rewrite = true
		c.counts.Add("rewrites of the manifest", 1)
	}
}

// pause lets calls go by without images, or ends that.
func (c *camera) pause(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = on
}

// thin makes images from now on at every stride-th call only. 0 changes nothing.
func (c *camera) thin(stride int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if stride > 0 {
		c.stride = stride
	}
}

// count tells what kind of moment the images are of.
func (c *camera) count(phase, call, name string, n int) {
	c.counts.Add("images", n)
	c.counts.Add("images during "+phase, n)
	if c.rewrite {
		c.counts.Add("images in a rewrite", n)
	}
	switch {
	case call == "remove" && strings.HasSuffix(name, ".sst"):
		c.counts.Add("images before a table file is unlinked", n)
		c.counts.Add("images in reclaim", n)
	case call == "remove" && strings.HasSuffix(name, ".wal"):
		c.counts.Add("images before a log segment is trimmed", n)
		c.counts.Add("images in reclaim", n)
	case call == "create" && strings.HasSuffix(name, ".wal") && phase != "open" && phase != "reopen":
		c.counts.Add("images in a rotation of the log", n)
	case call == "sync" && strings.Contains(name, "MANIFEST"):
		c.counts.Add("images before a manifest sync", n)
	}
}
