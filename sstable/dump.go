package sstable

import (
	"bufio"
	"fmt"
	"io"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// Dump writes the table as text for people: its properties, a line for each
// block, and, if rows is set, a line for each row. Offsets are those in the
// file. The text is not a format to be parsed.
func Dump(w io.Writer, r *Reader, rows bool) error {
	buffered := bufio.NewWriter(w)
	if err := dump(buffered, r, rows); err != nil {
		_ = buffered.Flush() // what was good before the fault helps to find it
		return err
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("dump %s: %w", r.meta.name(), err)
	}
	return nil
}

// dump leaves the errors of w to its Flush, which repeats the first of them.
func dump(w *bufio.Writer, r *Reader, rows bool) error {
	p, m := &r.properties, r.place.Meta()
	fmt.Fprintf(w, "table %d: %s, bytes %d to %d, format %d\n",
		p.ID, ids.TableFileName(m.File), m.Offset, m.Offset+m.Length, p.Version)
	fmt.Fprintf(w, "  rows        %d, of them %d tombstones\n", p.Rows, p.Tombstones)
	fmt.Fprintf(w, "  keys        %d bytes, from %q to %q\n", p.KeyBytes, p.Smallest, p.Largest)
	fmt.Fprintf(w, "  values      %d bytes\n", p.ValueBytes)
	fmt.Fprintf(w, "  data        %d bytes in %d blocks of about %d, %d before compression\n",
		p.DataBytes, p.Blocks, p.BlockBytes, p.RawDataBytes)
	fmt.Fprintf(w, "  filter      %d bytes, in memory %d\n", p.FilterBytes, r.filter.memoryBytes())
	fmt.Fprintf(w, "  index       %d bytes, prefix %q\n", p.IndexBytes, r.index.prefix)
	fmt.Fprintf(w, "  properties  %d bytes\n", p.PropertiesBytes)
	for number := range r.index.entries {
		e := &r.index.entries[number]
		fmt.Fprintf(w, "block %d: at %d, %d bytes, %d decompressed, rows %d to %d, up to %q\n",
			number, m.Offset+e.offset, e.storedBytes, e.rawBytes,
			e.ordinal, e.ordinal+r.index.rowsOf(number, r.meta.Rows)-1, r.index.appendSeparator(nil, number))
		if !rows {
			continue
		}
		b, err := r.load(number, false)
		if err != nil {
			return err
		}
		for i := range b.rows {
			if b.kind(i) == iterator.Tombstone {
				fmt.Fprintf(w, "  %d: %q deleted\n", e.ordinal+uint64(i), b.appendKey(nil, i))
				continue
			}
			fmt.Fprintf(w, "  %d: %q = %q\n", e.ordinal+uint64(i), b.appendKey(nil, i), b.value(i))
		}
	}
	return nil
}
