package demo

import (
	"slices"
	"strings"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
)

// costs draws the forks and counts bytes: the engine's numbers, the disk's own,
// and what copies would have taken.
func (d *demo) costs() error {
	forks := d.store.Forks()
	var drawn strings.Builder
	if err := picture.Forks(&drawn, forks, 4); err != nil {
		return err
	}
	for line := range strings.Lines(drawn.String()) {
		d.line("%s", strings.TrimRight(line, "\n"))
	}
	var own []uint64
	for _, f := range forks {
		own = append(own, f.ExclusiveBytes)
	}
	slices.Sort(own)
	used, err := diskUsage(d.dir)
	if err != nil {
		return err
	}
	r := d.report
	stats := d.store.Stats()
	r.TableBytes, r.DiskBytes, r.CopiesBytes = stats.TableBytes, used, r.BaseTableBytes*uint64(len(forks))
	d.line("the base alone:           %10s of tables", picture.Size(r.BaseTableBytes))
	d.line("all %s forks:          %10s of tables, log %s", picture.Count(len(forks)), picture.Size(stats.TableBytes), picture.Size(stats.WALBytes))
	d.line("what the disk says (du):  %10s, log and spare included", picture.Size(used))
	d.line("a copy for each fork:     %10s would be %.0f times as much", picture.Size(r.CopiesBytes), float64(r.CopiesBytes)/float64(max(stats.TableBytes, 1)))
	d.line("own bytes of one fork:    %10s in the middle, %s at most", picture.Size(own[len(own)/2]), picture.Size(own[len(own)-1]))
	return nil
}
