package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// spacePoints is how many fork points there are at once.
const spacePoints = 8

// keeper is a peer that can keep several old states, and give them up one by one.
type keeper interface {
	peer
	keep(point int) error
	// drop gives a point up and waits for rest, and gives the seconds until then.
	drop(point int) (float64, error)
	// digestOf hashes all rows of a point; point 0 is the present.
	digestOf(point int) (digest, error)
	// disk gives the bytes of all table files, those shared with points once.
	disk() (int64, error)
}

// keepers, ours first. Pebble keeps old states in two ways: by checkpoints, which can
// be opened and written like a fork, and by snapshots, which can only be read and are
// gone with the process.
var keepers = []struct {
	name string
	open func(dir string, m memory, tableBytes int64) (keeper, error)
}{
	{"tine", openTineKeeper},
	{"pebble-checkpoints", openPebbleCheckpoints},
	{"pebble-snapshots", openPebbleSnapshots},
}

// spaceSuite measures the bytes on disk while a store keeps eight fork points with
// random overwrites between them, and when they are dropped again in random order.
func spaceSuite(cfg config, out *figures) error {
	rows, tableBytes := 2_000_000, int64(0)
	if cfg.quick {
		rows, tableBytes = 100_000, 1<<20 // so that there are some tables, too
	}
	var bases []string
	for _, k := range keepers {
		dir := filepath.Join(cfg.dir, "space-"+k.name)
		open := func(dir string, m memory) (peer, error) { return k.open(dir, m, tableBytes) }
		if err := prepareOne(cfg, open, dir, rows); err != nil {
			return err
		}
		bases = append(bases, dir)
	}
	rounds := cfg.rounds
	if cfg.quick {
		rounds = 1 // bytes hardly differ between rounds
	}
	for round := range rounds {
		for _, percent := range []int{1, 5, 20} {
			c := startClock()
			results := make([]spaceResult, len(keepers))
			for turn := range keepers {
				i := (turn + round) % len(keepers)
				k := keepers[i]
				dir := filepath.Join(cfg.dir, "churn")
				if err := copyDir(dir, bases[i], false); err != nil {
					return err
				}
				runtime.GC()
				p, err := k.open(dir, cfg.memory(), tableBytes)
				if err != nil {
					return err
				}
				err = results[i].run(p, rows, percent)
				if err := errors.Join(err, p.close(), os.RemoveAll(dir)); err != nil {
					return fmt.Errorf("%s, %d %%: %w", k.name, percent, err)
				}
			}
			if err := noteSpace(out, fmt.Sprintf("space/churn-%d-percent", percent), results); err != nil {
				return err
			}
			progress("space, %d %%, round %d of %d: %.1f s", percent, round+1, rounds, c.lap())
		}
	}
	return nil
}

// spaceResult is what one keeper came to.
type spaceResult struct {
	points [spacePoints + 1]digest // 0 is the present

	data  float64 // bytes of the tables before any churn
	disk  float64 // bytes of the tables with all points
	ideal float64 // bytes that are needed then

	made       float64   // seconds that the churn took, with each flush and rest
	written    float64   // bytes written to tables for each byte put
	settles    []float64 // seconds from each drop until rest
	diskVsNeed []float64 // after each drop
}

// run overwrites some rows at random after each fork point, then drops the points.
func (r *spaceResult) run(p keeper, rows, percent int) error {
	base, err := p.disk()
	if err != nil {
		return err
	}
	r.data = float64(base)
	c := startClock()
	states, err := churn(p, rows, percent)
	if err != nil {
		return err
	}
	r.made = c.lap()
	flushed, compacted := p.wrote()
	put := float64(spacePoints * (rows * percent / 100) * (keyBytes + valueBytes))
	r.written = float64(flushed+compacted) / put
	disk, err := p.disk()
	if err != nil {
		return err
	}
	r.disk, r.ideal = float64(disk), states.need()*r.data
	for point := range r.points {
		if r.points[point], err = p.digestOf(point); err != nil {
			return fmt.Errorf("point %d: %w", point, err)
		}
	}
	for _, i := range rand.New(rand.NewPCG(31, 32)).Perm(spacePoints) {
		settle, err := p.drop(i + 1)
		if err != nil {
			return err
		}
		states.drop(i + 1)
		if disk, err = p.disk(); err != nil {
			return err
		}
		r.settles = append(r.settles, settle)
		r.diskVsNeed = append(r.diskVsNeed, float64(disk)/(states.need()*r.data))
	}
	left, err := p.digestOf(0)
	if err == nil && left != r.points[0] {
		err = errors.New("the drops have changed the present")
	}
	return err
}

// churn keeps a point and then overwrites some rows, eight times, and flushes and waits
// for rest each time.
func churn(p keeper, rows, percent int) (*versions, error) {
	states := newVersions(rows)
	random := rand.New(rand.NewPCG(uint64(percent), 33))
	var k, v []byte
	for point := 1; point <= spacePoints; point++ {
		if err := p.keep(point); err != nil {
			return nil, err
		}
		states.keep(point)
		order := random.Perm(rows)[:rows*percent/100]
		err := inBatches(p, len(order), func(i int) {
			row := order[i]
			states.present[row] = uint8(point)
			k, v = key(k, row), value(v, row, fmt.Sprintf("point %d", point))
			p.set(k, v)
		})
		if err != nil {
			return nil, err
		}
		if err := rest(p); err != nil {
			return nil, err
		}
	}
	return states, nil
}

// noteSpace compares the answers and adds the figures.
func noteSpace(out *figures, name string, results []spaceResult) error {
	ours := results[0]
	for i, r := range results {
		who := keepers[i].name
		if r.points != ours.points {
			return fmt.Errorf("%s: the answers differ: %v at %s, %v at %s", name, ours.points, keepers[0].name, r.points, who)
		}
		last := len(r.settles) - 1
		worst, sum := 0.0, 0.0
		for j := range r.settles {
			worst, sum = max(worst, r.diskVsNeed[j]), sum+r.settles[j]
		}
		for _, x := range []struct {
			what, unit string
			value      float64
		}{
			{"disk-vs-data", "ratio", r.disk / r.data},
			{"written-per-put", "ratio", r.written},
			{"made", "s", r.made},
			{"drops/settle", "s", sum},
			{"drops/worst-disk-vs-need", "ratio", worst},
			{"drops/last-disk-vs-need", "ratio", r.diskVsNeed[last]},
			{"drops/last-settle", "s", r.settles[last]},
		} {
			out.add(name+"/"+x.what+"/"+who, x.unit, x.value)
		}
		switch i {
		case 0:
			out.add(name+"/needed-vs-data", "ratio", r.ideal/r.data)
		case 1:
			out.add(name+"/disk/vs-pebble", "ratio", r.disk/ours.disk)
		default:
			out.add(name+"/disk/vs-"+who, "ratio", r.disk/ours.disk)
		}
	}
	return nil
}
