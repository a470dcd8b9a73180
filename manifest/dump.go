package manifest

import (
	"fmt"
	"io"

	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/sstable"
)

// Dump prints the manifest that CURRENT names, one line a frame and one line an
// edit, and changes nothing. It prints what comes before damage too, a line
// that names the damage, and then returns it. Meant for people: the text may
// change with any version.
func Dump(w io.Writer, fsys vfs.FS, dir string) error {
	out := &printer{w: w}
	h, info, err := scan(fsys, dir, func(offset int64, f frame, t *Transaction) error {
		out.printf("%08d %s position %d, %d bytes, synced through %d\n", offset, f.kind, f.position, len(f.payload), f.durable)
		if t != nil {
			out.transaction(t)
		}
		return out.err
	})
	switch {
	case out.err != nil:
		return fmt.Errorf("manifest: dump: %w", out.err)
	case err != nil:
		out.printf("%08d BAD  %v\n", info.Bytes, err)
		return fmt.Errorf("manifest: dump: %w", err)
	case info.TornOffset >= 0:
		out.printf("%08d TORN tail cut\n", info.TornOffset)
	}
	out.printf("%s of store %x: %d bytes, base %d bytes, %d transactions\n", info.Name, h.store, info.Bytes, info.BaseBytes, info.Transactions)
	if out.err != nil {
		return fmt.Errorf("manifest: dump: %w", out.err)
	}
	return nil
}

// printer keeps the first error of a writer.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) transaction(t *Transaction) {
	if c := t.Counters; c != nil {
		p.edit("counters applied %d, trimmed %d, next id %d, next lsn %d", c.Applied, c.Trimmed, c.NextID, c.NextLSN)
	}
	for i := range t.PutTables {
		p.table(&t.PutTables[i])
	}
	for _, n := range t.PutNodes {
		run := fmt.Sprintf("tables %d", n.Tables)
		if len(n.Chunks) > 0 {
			run = fmt.Sprintf("chunks %d", n.Chunks)
		}
		p.edit("put node %d older %d, fork %d, frozen at %d, %s", n.ID, n.Older, n.Fork, n.Frozen, run)
	}
	for _, f := range t.PutForks {
		p.edit("put fork %d %q parent %d, top %d, memtable %d, created at %d", f.ID, f.Name, f.Parent, f.Top, f.Memtable, f.CreatedLSN)
	}
	for _, s := range t.PutSnapshots {
		p.edit("put snapshot %d %q node %d, fork %d", s.ID, s.Name, s.Node, s.Fork)
	}
	for _, id := range t.DropSnapshots {
		p.edit("drop snapshot %d", id)
	}
	for _, id := range t.DropForks {
		p.edit("drop fork %d", id)
	}
	for _, id := range t.DropNodes {
		p.edit("drop node %d", id)
	}
	for _, id := range t.DropTables {
		p.edit("drop table %d", id)
	}
	for i := range t.AddMarks {
		m := &t.AddMarks[i]
		p.edit("add marks of node %d on table %d, %d of %d rows dead", m.Node, m.Table, m.Vector.Dead(), m.Vector.Rows())
	}
	for _, k := range t.DropMarks {
		p.edit("drop marks of node %d on table %d", k.Node, k.Table)
	}
	for _, c := range t.PutChunks {
		p.edit("put chunk %d tables %d", c.ID, c.Tables)
	}
	for _, id := range t.DropChunks {
		p.edit("drop chunk %d", id)
	}
}

func (p *printer) table(m *sstable.Meta) {
	p.edit("put table %d file %d [%d, %d), %d rows, %d tombstones, %d key bytes, %d value bytes, keys %s to %s",
		m.ID, m.File, m.Offset, m.Offset+m.Length, m.Rows, m.Tombstones, m.KeyBytes, m.ValueBytes, shortKey(m.Smallest), shortKey(m.Largest))
}

func (p *printer) edit(format string, args ...any) { p.printf("         "+format+"\n", args...) }

// shortKey quotes a key, cut to a length that fits a line.
func shortKey(key []byte) string {
	const shown = 40
	if len(key) <= shown {
		return fmt.Sprintf("%q", key)
	}
	return fmt.Sprintf("%q… (%d bytes)", key[:shown], len(key))
}
