package sstable

import (
	"encoding/binary"
	"fmt"
)

// A bitmap is stored in roaring's portable format. Before roaring sees bytes from
// disk, this file walks their structure, which is all that the format's readers
// take on trust: it bounds what they allocate and how long they take, and it
// compares the fields that they skip, so that no byte is without a meaning.
const (
	roaringCookieRuns   = 12347 // in the low 16 bits: some containers may be runs
	roaringCookieNoRuns = 12346
	roaringOffsetsFrom  = 4 // containers, from which on a bitmap with runs has offsets
	roaringArrayMax     = 4096
	roaringBitsetBytes  = 8192

	// roaringRunsMax is the most runs that are smaller than a bitset. Checking a
	// container of runs takes time quadratic in them.
	roaringRunsMax = (roaringBitsetBytes - 2) / 4
)

// checkBitmapLayout tells what is wrong with the structure of a bitmap over rows
// rows, of which dead are set.
func checkBitmapLayout(packed []byte, rows, dead uint32) error {
	le := binary.LittleEndian
	w := walker{rest: packed}
	cookie := w.u32()
	containers, offsets := uint32(0), true
	var runs []byte
	switch {
	case cookie&0xffff == roaringCookieRuns:
		containers = cookie>>16 + 1
		runs = w.take(int(containers+7) / 8)
		offsets = containers >= roaringOffsetsFrom
	case cookie == roaringCookieNoRuns:
		containers = w.u32()
	default:
		return fmt.Errorf("bitmap begins with %08x", cookie)
	}
	if most := (rows-1)>>16 + 1; containers == 0 || containers > most {
		return fmt.Errorf("bitmap of %d containers for %d rows", containers, rows)
	}
	descriptions := w.take(4 * int(containers))
	var starts []byte
	if offsets {
		starts = w.take(4 * int(containers))
	}
	if w.short {
		return fmt.Errorf("bitmap ends in its header")
	}
	for i := int(containers); i < len(runs)*8; i++ {
		if runs[i/8]>>(i%8)&1 != 0 {
			return fmt.Errorf("bitmap of %d containers marks container %d", containers, i)
		}
	}
	sum := uint64(0)
	for i := range int(containers) {
		key, count := le.Uint16(descriptions[4*i:]), uint32(le.Uint16(descriptions[4*i+2:]))+1
		if i > 0 && key <= le.Uint16(descriptions[4*i-4:]) || uint32(key) > (rows-1)>>16 {
			return fmt.Errorf("bitmap has container %d in place %d for %d rows", key, i, rows)
		}
		if at := len(packed) - len(w.rest); offsets && le.Uint32(starts[4*i:]) != uint32(at) {
			return fmt.Errorf("container %d lies at %d, not where its offset says", i, at)
		}
		sum += uint64(count)
		switch {
		case runs != nil && runs[i/8]>>(i%8)&1 != 0:
			n := w.u16()
			if n == 0 || n > roaringRunsMax {
				return fmt.Errorf("container %d has %d runs", i, n)
			}
			members, body := uint32(0), w.take(4*int(n))
			for ; len(body) > 0; body = body[4:] {
				members += uint32(le.Uint16(body[2:])) + 1
			}
			if members != count && !w.short {
				return fmt.Errorf("container %d has %d members in its runs, not %d", i, members, count)
			}
		case count > roaringArrayMax:
			w.take(roaringBitsetBytes)
		default:
			w.take(2 * int(count))
		}
		if w.short {
			return fmt.Errorf("bitmap ends in container %d", i)
		}
	}
	if len(w.rest) > 0 {
		return fmt.Errorf("bitmap leaves %d bytes over", len(w.rest))
	}
	if sum != uint64(dead) {
		return fmt.Errorf("containers state %d rows, the header says %d", sum, dead)
	}
	return nil
}

// walker takes bytes off the front. Once some were missing, short is set and
// what it gives is zeros or nothing.
type walker struct {
	rest  []byte
	short bool
}

func (w *walker) take(n int) []byte {
	if w.short || n > len(w.rest) {
		w.short = true
		return nil
	}
	p := w.rest[:n]
	w.rest = w.rest[n:]
	return p
}

func (w *walker) u16() uint16 {
	if p := w.take(2); p != nil {
		return binary.LittleEndian.Uint16(p)
	}
	return 0
}

func (w *walker) u32() uint32 {
	if p := w.take(4); p != nil {
		return binary.LittleEndian.Uint32(p)
	}
	return 0
}
