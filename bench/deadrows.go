package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// deadRows measures gets and scans of stores of which 0.01, 1, 10, 45 and 50 % of the
// rows, at random, were deleted while an old state is alive, when they are at rest, and
// the same of a store where nothing was deleted. With 45 % the dead rows are still in
// the tables that the old state reads too; from 50 % on, the store here has written
// what is left to tables of its own (marks-or-tombstones tells). All stores of a comparison are open
// together and take turns, so NAME/tine/vs-clean and NAME/pebble/vs-clean compare a cost
// with the clean one of the same round.
func deadRows(cfg config, out *figures, stores *prepared, n deleteSizes) error {
	order := rand.New(rand.NewPCG(15, 16)).Perm(n.rows)
	clean, err := openGraves(cfg, stores, "clean", order, 0)
	if err != nil {
		return err
	}
	defer closeGraves(clean)
	for _, share := range []struct {
		name string
		dead int
	}{
		{"0.01-percent", n.rows / 10_000},
		{"1-percent", n.rows / 100},
		{"10-percent", n.rows / 10},
		{"45-percent", n.rows / 20 * 9},
		{"50-percent", n.rows / 2},
	} {
		if err := deadShare(cfg, out, stores, n, clean, order, share.name, share.dead); err != nil {
			return fmt.Errorf("%s dead: %w", share.name, err)
		}
	}
	return nil
}

// deadShare compares stores with some dead rows with clean ones.
func deadShare(cfg config, out *figures, stores *prepared, n deleteSizes, clean []*graves, order []int, name string, dead int) (err error) {
	with, err := openGraves(cfg, stores, name, order, dead)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeGraves(with)) }()
	for round := range cfg.rounds {
		c := startClock()
		got := make([][2]result, len(contestants))
		for i, c := range contestants {
			got[i][1].who = c
		}
		for turn := range contestants {
			i := (turn + round) % len(contestants)
			for j, g := range []*graves{clean[i], with[i]} {
				if err := g.measure(&got[i][j], n, round); err != nil {
					return fmt.Errorf("%s: %w", contestants[i].name, err)
				}
			}
		}
		figure := "delete/dead-" + name
		progress("%s, round %d of %d: %.1f s", figure, round+1, cfg.rounds, c.lap())
		if a, b := got[0][0].answers, got[1][0].answers; !slices.Equal(a, b) {
			return fmt.Errorf("the clean stores' answers differ: %v and %v", a, b)
		}
		if err := got[0][1].add(out, figure, &got[1][1]); err != nil {
			return err
		}
		for i, c := range contestants {
			base := map[string]float64{}
			for _, x := range got[i][0].costs {
				base[x.name] = x.value
			}
			for _, x := range got[i][1].costs {
				if base[x.name] > 0 {
					out.add(fmt.Sprintf("%s/%s/%s/vs-clean", figure, x.name, c.name), "ratio", x.value/base[x.name])
				}
			}
		}
	}
	return nil
}

// graves is an open store with some dead rows, warm and at rest.
type graves struct {
	p          peer
	dir        string
	dead, live []int
}

// openGraves opens a copy of each contestant's store and deletes some rows, of those
// that are in the cache.
func openGraves(cfg config, stores *prepared, name string, order []int, dead int) ([]*graves, error) {
	var all []*graves
	for i, c := range contestants {
		g := &graves{dir: filepath.Join(cfg.dir, "graves-"+name+"-"+c.name), dead: order[:dead], live: order[dead:]}
		if err := g.open(cfg, stores, i); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", c.name, err), closeGraves(all))
		}
		all = append(all, g)
	}
	return all, nil
}

func (g *graves) open(cfg config, stores *prepared, i int) (err error) {
	if err := stores.copyTo(g.dir, i); err != nil {
		return err
	}
	if g.p, err = contestants[i].open(g.dir, cfg.memory()); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.p.close())
		}
	}()
	if err := warm(g.p); err != nil {
		return err
	}
	if err := g.p.keepOld(); err != nil {
		return err
	}
	var k []byte
	err = inBatches(g.p, len(g.dead), func(i int) {
		k = key(k, g.dead[i])
		g.p.del(k)
	})
	if err != nil {
		return err
	}
	if err := rest(g.p); err != nil {
		return err
	}
	return warm(g.p)
}

func closeGraves(all []*graves) error {
	var errs []error
	for _, g := range all {
		errs = append(errs, g.p.close(), os.RemoveAll(g.dir))
	}
	return errors.Join(errs...)
}

// measure notes what scans cost, and gets of rows that are there, of rows that are dead,
// and of rows that never were.
func (g *graves) measure(r *result, n deleteSizes, round int) error {
	if err := measureScans(g.p, r, "", len(g.live)); err != nil {
		return err
	}
	seed := uint64(round)
	rowOf := func(rows []int) func(dst []byte, r *rand.Rand) []byte {
		return func(dst []byte, r *rand.Rand) []byte { return key(dst, rows[r.IntN(len(rows))]) }
	}
	never := func(dst []byte, r *rand.Rand) []byte { return append(key(dst, r.IntN(n.rows)), 'x') }
	if err := measureGets(g.p, r, "get", n.reads, seed, true, rowOf(g.live)); err != nil {
		return err
	}
	if err := measureGets(g.p, r, "get-missing", n.reads, seed, false, never); err != nil {
		return err
	}
	if len(g.dead) > 0 {
		if err := measureGets(g.p, r, "get-dead", n.reads, seed, false, rowOf(g.dead)); err != nil {
			return err
		}
	}
	r.show("marks-or-tombstones", "rows", float64(g.p.hiding()))
	if round > 0 {
		return nil // nothing changes from now on
	}
	return r.answer(g.p, "what is left", false, len(g.live))
}

// measureGets notes what a get of some random keys costs. Where a peer has a second way
// to get (Pebble asks the filters of its last level only then) the cheaper one counts.
func measureGets(p peer, r *result, name string, gets int, seed uint64, there bool, next func([]byte, *rand.Rand) []byte) error {
	ways := []func(dst, key []byte) ([]byte, bool, error){p.get}
	if f, ok := p.(interface {
		getFiltered(dst, key []byte) ([]byte, bool, error)
	}); ok {
		ways = append(ways, f.getFiltered)
	}
	best := 0.0
	for i, get := range ways {
		random := rand.New(rand.NewPCG(seed, 17))
		var k, v []byte
		c := startClock()
		for range gets {
			k = next(k, random)
			got, found, err := get(v[:0], k)
			if err != nil {
				return err
			}
			if found != there {
				return fmt.Errorf("%s: row %q: found is %v", name, k, found)
			}
			v = got
		}
		if us := c.lap() * 1e6 / float64(gets); i == 0 || us < best {
			best = us
		}
	}
	r.cost(name, "us", best)
	return nil
}
