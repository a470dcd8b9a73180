package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

func join(dir, name string) string { return path.Join(dir, name) }

// chain is which of a directory's segments make up the log, found from their
// headers alone.
type chain struct {
	headers  []header      // oldest first; each one's successor names it
	leftover []ids.FileNum // files that no replay will ever need
}

// end is where segment i of the chain ends, as its successor says; 0 for the last
// one.
func (ch *chain) end(i int) int64 {
	if i+1 < len(ch.headers) {
		return ch.headers[i+1].prevEnd
	}
	return 0
}

// candidate is one *.wal file before the chain is known.
type candidate struct {
	number ids.FileNum
	first  []byte // the first sector, shorter if the file is
	size   int64
	header header
	valid  bool
}

// readChain lists the segments of dir and links them by their headers. It
// starts at the newest valid header and follows "the one before" down to the
// log's beginning or to the first file that is gone. Trimming removes oldest
// first, but a power loss may undo any of its removals alone: what stands below
// a gap is a leftover. Whether the gap took anything that is still needed is
// for checkStart to say.
func readChain(fs vfs.FS, dir string) (*chain, error) {
	candidates, err := readHeaders(fs, dir)
	if err != nil {
		return nil, err
	}
	byNumber := map[ids.FileNum]*candidate{}
	byOrdinal := map[uint64]*candidate{}
	var tip *candidate
	for i := range candidates {
		c := &candidates[i]
		byNumber[c.number] = c
		if !c.valid {
			continue
		}
		if twin := byOrdinal[c.header.ordinal]; twin != nil {
			if !c.header.sameSeal(twin.header) {
				return nil, errs.Corruptf(ids.SegmentName(c.number), headerOrdinal, "two segments claim to be number %d of the chain, the other is %s", c.header.ordinal, ids.SegmentName(twin.number))
			}
			if c.number < twin.number {
				continue // superseded, see Start
			}
		}
		byOrdinal[c.header.ordinal] = c
		if tip == nil || c.header.ordinal >= tip.header.ordinal {
			tip = c
		}
	}
	ch := &chain{}
	for c := tip; c != nil; {
		ch.headers = append(ch.headers, c.header)
		delete(byNumber, c.number)
		if slices.ContainsFunc(ch.headers, func(h header) bool { return h.number == c.header.previous }) {
			return nil, errs.Corruptf(ids.SegmentName(c.number), headerPrevious, "segment %d, which this one follows, comes after it", c.header.previous)
		}
		if c, err = before(c.header, byNumber); err != nil {
			return nil, err
		}
	}
	slices.Reverse(ch.headers)
	if err := ch.addLeftovers(fs, dir, byNumber); err != nil {
		return nil, err
	}
	return ch, nil
}

// before finds the segment that h follows, nil if there is none.
func before(h header, byNumber map[ids.FileNum]*candidate) (*candidate, error) {
	if h.previous == 0 {
		return nil, nil
	}
	c := byNumber[h.previous]
	switch {
	case c == nil:
		return nil, nil
	case !c.valid:
		return nil, errs.Corruptf(ids.SegmentName(c.number), 0, "header is damaged, yet segment %s follows this one", ids.SegmentName(h.number))
	case c.header.ordinal != h.ordinal-1 || c.header.logID != h.logID || c.header.firstLSN > h.firstLSN:
		return nil, errs.Corruptf(ids.SegmentName(c.number), headerOrdinal, "segment does not belong before %s, which names it", ids.SegmentName(h.number))
	}
	return c, nil
}

// addLeftovers judges the files outside the chain. A valid header there is that
// of a superseded segment, or of a trimmed one below the chain's start whose
// removal a power loss undid. A file
// without a valid header is a spare or an aborted start, unless a sync mark in
// it proves that it had a durable header once.
func (ch *chain) addLeftovers(fs vfs.FS, dir string, outside map[ids.FileNum]*candidate) error {
	for _, c := range outside {
		if c.valid {
			if c.header.logID != ch.headers[0].logID {
				return errs.Corruptf(ids.SegmentName(c.number), headerLogID, "segment of another log")
			}
		} else if err := ch.checkNeverUsed(fs, dir, c); err != nil {
			return err
		}
		ch.leftover = append(ch.leftover, c.number)
	}
	slices.Sort(ch.leftover)
	return nil
}

func (ch *chain) checkNeverUsed(fs vfs.FS, dir string, c *candidate) error {
	var logIDs []uint64
	if len(ch.headers) > 0 {
		logIDs = append(logIDs, ch.headers[0].logID)
	}
	if len(c.first) >= headerLogID+8 {
		logIDs = append(logIDs, binary.LittleEndian.Uint64(c.first[headerLogID:]))
	}
	name := ids.SegmentName(c.number)
	file, err := fs.Open(join(dir, name))
	if err != nil {
		return fmt.Errorf("wal: open segment: %w", err)
	}
	defer file.Close()
	found, err := behind(file, c.size, c.number, logIDs, headerBytes, 0)
	if err != nil {
		return fmt.Errorf("wal: segment %s: %w", name, err)
	}
	if found.proven {
		return errs.Corruptf(name, 0, "header is damaged: a sync mark proves that %d bytes of the segment were durable", found.mark.through)
	}
	return nil
}

// checkStart fails if the chain lacks a record with an LSN of from or above.
func (ch *chain) checkStart(from ids.LSN) error {
	if len(ch.headers) == 0 {
		if from > 1 {
			return errs.Corruptf("*.wal", -1, "the log has no segment, records from LSN %d on are missing", from)
		}
		return nil
	}
	if h := ch.headers[0]; h.previous != 0 && h.prevLSN >= from {
		return errs.Corruptf(ids.SegmentName(h.previous), -1, "segment is missing: records from LSN %d on are needed and the log begins behind %d", from, h.prevLSN)
	}
	return nil
}

// readHeaders reads the first sector of every segment file of dir.
func readHeaders(fs vfs.FS, dir string) ([]candidate, error) {
	names, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("wal: list %s: %w", dir, err)
	}
	var out []candidate
	for _, name := range names {
		kind, number := ids.ParseFileName(name)
		if kind != ids.FileSegment {
			continue
		}
		c, err := readHeader(fs, dir, number)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func readHeader(fs vfs.FS, dir string, number ids.FileNum) (candidate, error) {
	name := ids.SegmentName(number)
	file, err := fs.Open(join(dir, name))
	if err != nil {
		return candidate{}, fmt.Errorf("wal: open segment: %w", err)
	}
	defer file.Close()
	c := candidate{number: number}
	if c.size, err = file.Size(); err != nil {
		return candidate{}, fmt.Errorf("wal: size of segment %s: %w", name, err)
	}
	c.first = make([]byte, min(c.size, headerBytes))
	if err := readFull(file, c.first, 0); err != nil {
		return candidate{}, fmt.Errorf("wal: read header of segment %s: %w", name, err)
	}
	c.header, err = decodeHeader(name, number, c.first)
	c.valid = err == nil
	if err != nil && !errors.Is(err, errNoHeader) {
		return candidate{}, err
	}
	return c, nil
}
