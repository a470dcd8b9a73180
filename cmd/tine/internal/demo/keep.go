package demo

import (
	"fmt"
	"time"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

// keepOne makes main what one agent's fork is, drops all others, and looks
// whether their space comes back and nothing of the winner went with it.
func (d *demo) keepOne() error {
	winner := d.agents[len(d.agents)/2]
	d.report.Winner = winner.name
	if err := d.main.fork.Reset(winner.fork); err != nil {
		return err
	}
	d.main.want = winner.want
	d.line("main is now what %s is: one record in the log", winner.name)

	before, err := diskUsage(d.dir)
	if err != nil {
		return err
	}
	tablesBefore := d.store.Stats().TableBytes
	began := time.Now()
	dropped, err := d.dropOthers()
	if err != nil {
		return err
	}
	d.report.DropSeconds = time.Since(began).Seconds()
	d.line("%s forks dropped in %.0f ms", picture.Count(dropped), d.report.DropSeconds*1000)

	began = time.Now()
	if err := d.store.Compact(); err != nil {
		return err
	}
	if err := d.store.Settle(); err != nil {
		return err
	}
	after, err := diskUsage(d.dir)
	if err != nil {
		return err
	}
	r := d.report
	r.TableBytesAfter, r.DiskBytesAfter = d.store.Stats().TableBytes, after
	d.line("the space came back in %.1f s: tables %s → %s, disk (du) %s → %s", time.Since(began).Seconds(),
		picture.Size(tablesBefore), picture.Size(r.TableBytesAfter), picture.Size(before), picture.Size(after))
	return d.lastLook(winner.name)
}

// dropOthers drops every fork but main, unsynced, with one sync at the end.
func (d *demo) dropOthers() (int, error) {
	dropped := 0
	for _, info := range d.store.Forks() {
		if info.Name == engine.MainFork {
			continue
		}
		fork, err := d.store.Fork(info.Name)
		if err != nil {
			return dropped, err
		}
		if err := fork.Drop(engine.NoSync); err != nil {
			return dropped, err
		}
		dropped++
	}
	return dropped, d.store.Sync()
}

// lastLook checks the closed store and compares every row of what is left.
func (d *demo) lastLook(winner string) error {
	if err := d.close(); err != nil {
		return err
	}
	check, err := engine.Check(d.dir, engine.CheckOptions{Level: engine.CheckFull})
	if err != nil {
		return err
	}
	if !check.OK() {
		first := "missing or left over files"
		if len(check.Problems) > 0 {
			first = fmt.Sprintf("%s: %s", check.Problems[0].File, check.Problems[0].Text)
		}
		return &VerifyError{Differences: []string{"the check of the store found damage: " + first}, Count: max(1, len(check.Problems))}
	}
	d.report.CheckOK = true
	d.line("check of every block: ok, %d tables in %d files, no file left over", check.Tables, check.Files)
	if err := d.open(); err != nil {
		return err
	}
	if d.main.fork, err = d.store.Fork(engine.MainFork); err != nil {
		return err
	}
	v := &verifier{}
	if err := verifyScan(v, d.main); err != nil {
		return err
	}
	d.report.Compared += v.compared
	if err := v.err(); err != nil {
		return err
	}
	d.line("opened again: all %s rows of main are those of %s", picture.Count(v.compared), winner)
	return nil
}
