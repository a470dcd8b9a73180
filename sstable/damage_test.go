package sstable

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// damageRows make a small table with compressed and raw blocks.
func damageRows() []iterator.Row {
	rng := rand.New(rand.NewPCG(9, 9))
	rows := randomRows(rng, 40, keyShapes[0].make)
	for i := range rows {
		if rows[i].Kind == iterator.Set {
			rows[i].Value = fmt.Appendf(nil, "value %d", i)
		}
		if i > 20 && rows[i].Kind == iterator.Set {
			rows[i].Value = bytes.Repeat([]byte{byte(i)}, 40)
		}
	}
	return rows
}

// readAll reads the table in each way there is. It gives the first error, after
// checking that everything that was answered was right.
func readAll(r *Reader, rows []iterator.Row) error {
	var firstErr error
	note := func(err error) {
		if firstErr == nil {
			firstErr = err
		}
	}
	for i, row := range rows {
		found, ok, err := r.Find(row.Key)
		if err != nil {
			note(err)
			continue
		}
		if !ok || found.Ordinal != uint64(i) || found.Kind != row.Kind || !bytes.Equal(found.Value, row.Value) {
			return fmt.Errorf("wrong answer for key %q: %+v, %v", row.Key, found, ok)
		}
	}
	for _, backward := range []bool{false, true} {
		it, n := r.NewIter(nil), 0
		ok := it.First()
		if backward {
			ok = it.Last()
		}
		for ok {
			row := rows[n]
			if backward {
				row = rows[len(rows)-1-n]
			}
			if !bytes.Equal(it.Key(), row.Key) || it.Kind() != row.Kind || !bytes.Equal(it.Value(), row.Value) {
				return fmt.Errorf("wrong row %d: %q", n, it.Key())
			}
			n++
			if backward {
				ok = it.Prev()
			} else {
				ok = it.Next()
			}
		}
		if it.Error() == nil && n != len(rows) {
			return fmt.Errorf("walk ends after %d rows", n)
		}
		note(it.Close())
	}
	return firstErr
}

// openAndRead gives the first error of opening and reading a table.
func openAndRead(content []byte, m *Meta, rows []iterator.Row) error {
	r, err := openBytes(content, m, 1)
	if err == nil {
		err = readAll(r, rows)
	}
	return err
}

// requireCorrupt also checks that the error names the file and a place in it.
func requireCorrupt(t *testing.T, m *Meta, err error) *errs.CorruptError {
	t.Helper()
	var corrupt *errs.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.Equal(t, ids.TableFileName(m.File), corrupt.File)
	require.GreaterOrEqual(t, corrupt.Offset, int64(m.Offset))
	require.LessOrEqual(t, corrupt.Offset, int64(m.Offset+m.Length))
	return corrupt
}

// Every byte of a table is covered by a checksum, so no change of one can go by.
func TestEveryDamagedByteIsFound(t *testing.T) {
	rows := damageRows()
	content, m := buildTable(t, rows, 300, WriterOptions{BlockBytes: 200})
	require.NoError(t, openAndRead(content, &m, rows))
	for at := m.Offset; at < m.Offset+m.Length; at++ {
		for _, flip := range []byte{0x01, 0x80, 0xff} {
			damaged := slices.Clone(content)
			damaged[at] ^= flip
			err := openAndRead(damaged, &m, rows)
			corrupt := requireCorrupt(t, &m, err)
			require.LessOrEqual(t, corrupt.Offset, int64(at), "the part that is named holds the byte")
		}
	}
}

func TestEveryTruncationIsFound(t *testing.T) {
	rows := damageRows()
	content, m := buildTable(t, rows, 300, WriterOptions{BlockBytes: 200})
	for n := range len(content) {
		var corrupt *errs.CorruptError
		require.ErrorAs(t, openAndRead(content[:n], &m, rows), &corrupt)
		require.Equal(t, int64(max(n, 300)), corrupt.Offset, "where the file ends is where it is bad, or where the table would begin")
	}
}

// A file that is cut while its table is open.
func TestFileThatShrinksWhileOpen(t *testing.T) {
	rows := damageRows()
	content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 200})
	fsys := newMemFS()
	fsys.put(1, content)
	tables := NewTables(fsys, "db", NewCache(1), 1)
	r, err := tables.Reader(&m)
	require.NoError(t, err)
	tables.ForgetFile(1)
	fsys.put(1, content[:100])
	requireCorrupt(t, &m, readAll(r, rows))
}

func TestMisplacedBlockIsFound(t *testing.T) {
	rows := sequentialRows(400)
	content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 2000})
	r := mustOpen(t, content, &m, 1)
	// Two blocks of equal length trade places: each is whole, neither is right.
	e := r.index.entries
	a, b := -1, -1
	for i := range e {
		for j := range i {
			if e[i].storedBytes == e[j].storedBytes {
				a, b = j, i
			}
		}
	}
	require.NotEqual(t, -1, a, "no two blocks have the same length")
	swapped := slices.Clone(content)
	copy(swapped[e[a].offset:], content[e[b].offset:e[b].offset+uint64(e[b].storedBytes)])
	copy(swapped[e[b].offset:], content[e[a].offset:e[a].offset+uint64(e[a].storedBytes)])
	corrupt := requireCorrupt(t, &m, openAndRead(swapped, &m, rows))
	require.ErrorContains(t, corrupt, "checksum")
}

// The same bytes under another table id fail at once, and part by part too.
func TestBlockOfAnotherTableIsFound(t *testing.T) {
	rows := sequentialRows(400)
	content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 2000})
	other := m
	other.ID = 8
	_, err := openBytes(content, &other, 1)
	requireCorrupt(t, &other, err)

	var buf bytes.Buffer
	w := NewWriter(&buf, 8, 1, 0, WriterOptions{BlockBytes: 2000})
	for _, row := range rows {
		require.NoError(t, w.Add(row.Key, row.Kind, row.Value))
	}
	other, err = w.Finish()
	require.NoError(t, err)
	require.Equal(t, len(content), buf.Len())
	mixed := buf.Bytes()
	copy(mixed, content[:m.Length/2]) // block by block the same but for the id
	requireCorrupt(t, &other, openAndRead(mixed, &other, rows))
}

func TestRelocatedTableStaysValid(t *testing.T) {
	rows := sequentialRows(400)
	content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 2000})
	moved := m
	moved.File, moved.Offset = 5, 12345
	r := mustOpen(t, append(make([]byte, 12345), content...), &moved, 1<<20)
	require.NoError(t, r.Verify())
	require.NoError(t, readAll(r, rows))
}

func TestMetaThatDoesNotFitIsRefused(t *testing.T) {
	rows := damageRows()
	content, m := buildTable(t, rows, 10, WriterOptions{BlockBytes: 200})
	for _, c := range []struct {
		name   string
		change func(*Meta)
	}{
		{"another id", func(m *Meta) { m.ID++ }},
		{"another offset", func(m *Meta) { m.Offset-- }},
		{"an offset behind the file", func(m *Meta) { m.Offset = 1 << 40 }},
		{"an offset beyond all numbers", func(m *Meta) { m.Offset = ^uint64(0) }},
		{"a length that is too short", func(m *Meta) { m.Length-- }},
		{"a length that is too long", func(m *Meta) { m.Length++ }},
		{"a length shorter than a footer", func(m *Meta) { m.Length = 5 }},
		{"a length beyond all numbers", func(m *Meta) { m.Length = ^uint64(0) }},
		{"other rows", func(m *Meta) { m.Rows++ }},
		{"other tombstones", func(m *Meta) { m.Tombstones++ }},
		{"other key bytes", func(m *Meta) { m.KeyBytes++ }},
		{"other value bytes", func(m *Meta) { m.ValueBytes++ }},
		{"another smallest key", func(m *Meta) { m.Smallest = []byte("0") }},
		{"another largest key", func(m *Meta) { m.Largest = []byte("zzz") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			wrong := m
			c.change(&wrong)
			_, err := openBytes(content, &wrong, 1)
			require.ErrorIs(t, err, errs.ErrCorrupt)

			fsys := newMemFS()
			fsys.put(1, content)
			tables := NewTables(fsys, "db", NewCache(1), 1)
			_, err = tables.Reader(&m)
			require.NoError(t, err)
			_, err = tables.Reader(&wrong)
			require.ErrorIs(t, err, errs.ErrCorrupt, "also when the table is open already")
		})
	}
}

func TestNewerFormatIsNamedAsSuch(t *testing.T) {
	content, m := buildTable(t, damageRows(), 0, WriterOptions{})
	foot := content[len(content)-footerBytes:]
	binary.LittleEndian.PutUint32(foot[footerVersionAt:], formatVersion+1)
	_, err := openBytes(content, &m, 1)
	require.ErrorIs(t, err, errs.ErrCorrupt, "a damaged version is damage")

	sum := partChecksum(m.ID, m.Length-footerBytes, foot[:footerChecksumAt])
	binary.LittleEndian.PutUint64(foot[footerChecksumAt:], sum)
	_, err = openBytes(content, &m, 1)
	require.ErrorIs(t, err, errs.ErrNewerFormat)
	require.NotErrorIs(t, err, errs.ErrCorrupt)
}

// reseal changes a payload of a stored table and gives it a right checksum, to
// reach the checks behind the checksum.
func reseal(t *testing.T, content []byte, m *Meta, offset, partBytes uint64, change func(payload []byte)) []byte {
	t.Helper()
	changed := slices.Clone(content)
	part := changed[m.Offset+offset : m.Offset+offset+partBytes]
	payload, c, err := openPart(m, offset, part)
	require.NoError(t, err)
	change(payload)
	copy(part, sealPart(slices.Clone(payload), m.ID, offset, c))
	return changed
}

// A part whose checksum is right may still lie: a bug, or a hostile file.
func TestPartThatLiesIsFound(t *testing.T) {
	rows := sequentialRows(100)
	for i := range rows {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		for j := range rows[i].Value {
			rows[i].Value[j] = byte(rng.Uint32()) // so that blocks are stored raw
		}
	}
	content, m := buildTable(t, rows, 50, WriterOptions{BlockBytes: 2000})
	p := mustOpen(t, content, &m, 1).Properties()
	block := mustOpen(t, content, &m, 1).index.entries[1]
	require.Equal(t, block.rawBytes+partTrailerBytes, block.storedBytes)
	le := binary.LittleEndian
	slot := blockHeaderBytes + prefixAlignment
	indexAt := p.DataBytes + p.FilterBytes
	for _, c := range []struct {
		name              string
		offset, partBytes uint64
		change            func([]byte)
		want              string
	}{
		{"a block with fewer rows", block.offset, uint64(block.storedBytes), func(b []byte) { le.PutUint32(b, 3) }, "states areas"},
		{"a block with no rows", block.offset, uint64(block.storedBytes), func(b []byte) { le.PutUint32(b, 0) }, "without rows"},
		{"a block with a huge prefix", block.offset, uint64(block.storedBytes), func(b []byte) { le.PutUint32(b[4:], 1<<31) }, "with a prefix"},
		{"a block with huge tails", block.offset, uint64(block.storedBytes), func(b []byte) { le.PutUint32(b[8:], 1<<31) }, "tails of"},
		{"a block of keys out of order", block.offset, uint64(block.storedBytes), func(b []byte) { b[slot] = 0xff }, "not greater"},
		{"a block of another prefix", block.offset, uint64(block.storedBytes), func(b []byte) { b[blockHeaderBytes] = 'a' }, "belongs before"},
		{"a block of a prefix behind its end", block.offset, uint64(block.storedBytes), func(b []byte) { b[blockHeaderBytes] = 'z' }, "does not allow"},
		{"a row of unknown kind", block.offset, uint64(block.storedBytes), func(b []byte) { b[slot+15] ^= 0x40 }, "unknown kind"},
		{"a tombstone with a value", block.offset, uint64(block.storedBytes), func(b []byte) { b[slot+15] ^= 0x30 }, "tombstone with a value"},
		{"a value that begins too late", block.offset, uint64(block.storedBytes), func(b []byte) { b[slot+8]++ }, "does not begin where"},
		{"a value that reaches too far", block.offset, uint64(block.storedBytes), func(b []byte) { le.PutUint32(b[slot+16+8:], 1<<30) }, "reaches over"},
		{"a head of nine bytes", block.offset, uint64(block.storedBytes), func(b []byte) { b[slot+15] = b[slot+15]&0xf0 | 9 }, "has a head"},
		{"a short head that is not padded with zeros", block.offset, uint64(block.storedBytes), func(b []byte) { b[slot+7] = 1 }, "head of row 0 is not padded"},
		{"a padding that is not zero", block.offset, uint64(block.storedBytes), func(b []byte) { b[slot-1] = 1 }, "padded"},
		{"an index of other blocks", indexAt, p.IndexBytes, func(b []byte) { b[0]-- }, "index covers"},
		{"an index of many blocks", indexAt, p.IndexBytes, func(b []byte) { le.PutUint32(b, 1<<31) }, "blocks"},
		{"an index of no blocks", indexAt, p.IndexBytes, func(b []byte) { le.PutUint32(b, 0) }, "0 blocks"},
		{"an index with a huge prefix", indexAt, p.IndexBytes, func(b []byte) { le.PutUint32(b[4:], 1<<31) }, "prefix"},
		{"an index with another prefix", indexAt, p.IndexBytes, func(b []byte) { b[8]++ }, "index ends at key"},
		{"an index that gives a row to the block before", indexAt, p.IndexBytes, func(b []byte) {
			counts := countPlaces(b)
			b[counts[0]]++
			b[counts[1]]--
		}, "block has"},
		{"a filter of unknown kind", p.DataBytes, p.FilterBytes, func(b []byte) { b[0] = 9 }, "unknown kind"},
		{"a filter of odd segments", p.DataBytes, p.FilterBytes, func(b []byte) { b[4]-- }, "segments"},
		{"a filter of more segments than bytes", p.DataBytes, p.FilterBytes, func(b []byte) { b[8]++ }, "segments"},
		{"a filter of more bytes than it has", p.DataBytes, p.FilterBytes, func(b []byte) { b[12]++ }, "fingerprints"},
		{"properties of other rows", indexAt + p.IndexBytes, p.PropertiesBytes, func(b []byte) { b[0]++ }, "rows is"},
		{"properties of other blocks", indexAt + p.IndexBytes, p.PropertiesBytes, func(b []byte) { b[32]-- }, "properties say"},
		{"properties of a bound that is too long", indexAt + p.IndexBytes, p.PropertiesBytes, func(b []byte) { le.PutUint32(b[56:], 1<<31) }, "bound of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := openAndRead(reseal(t, content, &m, c.offset, c.partBytes, c.change), &m, rows)
			requireCorrupt(t, &m, err)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// What only Verify can see, because no lookup adds it up.
func TestVerifyFindsWhatLookupsCannot(t *testing.T) {
	rows := sequentialRows(100)
	content, m := buildTable(t, rows, 50, WriterOptions{BlockBytes: 2000})
	p := mustOpen(t, content, &m, 1).Properties()

	t.Run("a filter that denies a key", func(t *testing.T) {
		lying := reseal(t, content, &m, p.DataBytes, p.FilterBytes, func(b []byte) { clear(b[filterHeaderBytes:]) })
		r := mustOpen(t, lying, &m, 1)
		require.ErrorContains(t, r.Verify(), "filter")
	})
	t.Run("wrong raw data bytes", func(t *testing.T) {
		at := p.DataBytes + p.FilterBytes + p.IndexBytes
		lying := reseal(t, content, &m, at, p.PropertiesBytes, func(b []byte) { b[48]++ })
		require.ErrorContains(t, mustOpen(t, lying, &m, 1).Verify(), "raw data bytes")
	})
	t.Run("wrong tombstones, in the manifest too", func(t *testing.T) {
		at := p.DataBytes + p.FilterBytes + p.IndexBytes
		lying := reseal(t, content, &m, at, p.PropertiesBytes, func(b []byte) { b[8]++ })
		wrong := m
		wrong.Tombstones++
		require.ErrorContains(t, mustOpen(t, lying, &wrong, 1).Verify(), "tombstones")
	})
	t.Run("damage behind the cache", func(t *testing.T) {
		damaged := slices.Clone(content)
		r := mustOpen(t, damaged, &m, 1<<20)
		require.NoError(t, readAll(r, rows)) // everything is cached now
		damaged[m.Offset+5] ^= 1
		require.NoError(t, readAll(r, rows))
		requireCorrupt(t, &m, r.Verify())
	})
}

func TestReadErrorsAreNotCorruption(t *testing.T) {
	rows := damageRows()
	content, m := buildTable(t, rows, 0, WriterOptions{BlockBytes: 200})
	fsys := newMemFS()
	fsys.put(1, content)
	tables := NewTables(fsys, "db", NewCache(1), 1)
	broken := errors.New("the disk is on fire")

	fsys.failOpen = broken
	_, err := tables.Reader(&m)
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, errs.ErrCorrupt)
	fsys.failOpen, fsys.failRead = nil, broken
	_, err = tables.Reader(&m)
	require.ErrorIs(t, err, broken)
	fsys.failRead = nil
	r, err := tables.Reader(&m)
	require.NoError(t, err, "a failed opening is not remembered")

	fsys.failRead = broken
	_, _, found, err := r.Get(nil, rows[3].Key, nil)
	require.ErrorIs(t, err, broken)
	require.NotErrorIs(t, err, errs.ErrCorrupt)
	require.False(t, found)
	it := r.NewIter(nil)
	require.False(t, it.First())
	fsys.failRead = nil
	require.False(t, it.First(), "an iterator's error is sticky")
	require.ErrorIs(t, it.Error(), broken)
	require.ErrorIs(t, it.Close(), broken)
	require.NoError(t, readAll(r, rows), "a reader's is not")
}

// A footer whose checksum is right but that makes no sense.
func TestFooterThatLiesIsFound(t *testing.T) {
	content, m := buildTable(t, damageRows(), 0, WriterOptions{BlockBytes: 200})
	le := binary.LittleEndian
	for _, c := range []struct {
		name   string
		change func([]byte)
		want   string
	}{
		{"another table's id", func(b []byte) { b[0]++ }, "table 8"},
		{"another length", func(b []byte) { b[8]++ }, "states a table"},
		{"a part that is too long", func(b []byte) { le.PutUint64(b[16:], 1<<63) }, "states a part"},
		{"lengths that overflow to the right sum", func(b []byte) {
			le.PutUint64(b[16:], le.Uint64(b[16:])+1<<63)
			le.PutUint64(b[24:], le.Uint64(b[24:])+1<<63)
		}, "states a part"},
		{"a part of nothing", func(b []byte) { le.PutUint64(b[40:], 0) }, "states a part"},
		{"a part that is too short", func(b []byte) { b[32]-- }, "to no part"},
		{"reserved bytes in use", func(b []byte) { b[footerReservedAt+3] = 1 }, "reserved"},
		{"the last reserved byte in use", func(b []byte) { b[footerVersionAt+7] = 1 }, "reserved"},
		{"format 0", func(b []byte) { b[footerVersionAt] = 0 }, "format 0"},
		{"parts that trade bytes", func(b []byte) { b[24]++; b[32]-- }, "checksum"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := slices.Clone(content)
			foot := changed[len(changed)-footerBytes:]
			c.change(foot)
			copy(foot, sealFooter(foot, m.Length))
			_, err := openBytes(changed, &m, 1)
			requireCorrupt(t, &m, err)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// countPlaces finds the row counts of an index whose counts are below 128.
func countPlaces(payload []byte) (places []int) {
	at := 8 + int(binary.LittleEndian.Uint32(payload[4:]))
	for at < len(payload) {
		for range 2 {
			_, n := binary.Uvarint(payload[at:])
			at += n
		}
		places = append(places, at)
		length, n := binary.Uvarint(payload[at+1:])
		at += 1 + n + int(length)
	}
	return places
}

func TestIndexThatLiesIsRefused(t *testing.T) {
	block := builtBlock{storedBytes: 100, rawBytes: 200, rows: 5}
	type entry struct {
		builtBlock
		separator string
	}
	good := []entry{{block, "pa"}, {block, "pb"}, {block, "pc"}}
	for _, c := range []struct {
		name   string
		change func(entries []entry) []entry
		want   string
	}{
		{"a good one", func(e []entry) []entry { return e }, ""},
		{"separators out of order", func(e []entry) []entry { e[1].separator = "pd"; return e }, "not greater"},
		{"a separator twice", func(e []entry) []entry { e[1].separator = "pa"; return e }, "not greater"},
		{"a last separator that is not the largest key", func(e []entry) []entry { e[2].separator = "pcc"; return e }, "the table at"},
		{"a block that is too long", func(e []entry) []entry { e[1].storedBytes = 201; e[1].rawBytes = 300; return e }, "block of 201 bytes at 100"},
		{"a block of a trailer only", func(e []entry) []entry { e[1].storedBytes = partTrailerBytes; return e }, "block of 9 bytes"},
		{"blocks that leave bytes over", func(e []entry) []entry { e[1].storedBytes = 99; return e }, "covers 299 of 300"},
		{"a block larger than stored", func(e []entry) []entry { e[1].rawBytes = 90; return e }, "90 decompressed"},
		{"a block larger than any", func(e []entry) []entry { e[1].rawBytes = maxBlockRawBytes + 1; return e }, "decompressed"},
		{"a block of no rows", func(e []entry) []entry { e[1].rows = 0; return e }, "0 rows"},
		{"a block of all rows", func(e []entry) []entry { e[1].rows = 11; return e }, "11 rows"},
		{"rows left over", func(e []entry) []entry { e[2].rows = 4; return e }, "14 of 15 rows"},
		{"more rows than the block has room for", func(e []entry) []entry { e[1].rawBytes = 91; e[1].rows = 6; return e }, "6 rows"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var x indexBuilder
			for _, e := range c.change(slices.Clone(good)) {
				x.add(e.builtBlock, []byte(e.separator))
			}
			payload := x.finish(nil, []byte("p"))
			_, err := decodeIndex(payload, 300, 15, []byte("pc"))
			if c.want == "" {
				require.NoError(t, err)
				for n := range payload {
					_, err := decodeIndex(payload[:n], 300, 15, []byte("pc"))
					require.Error(t, err, "cut to %d bytes", n)
				}
				_, err = decodeIndex(append(payload, 0), 300, 15, []byte("pc"))
				require.Error(t, err)
				return
			}
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Three segments whose length is no power of two: a lookup would leave them.
func TestFilterOfOddSegmentsIsRefused(t *testing.T) {
	payload := make([]byte, filterHeaderBytes+9)
	payload[0], payload[4], payload[8], payload[12] = filterBinaryFuse8, 3, 1, 9
	_, err := decodeFilter(payload)
	require.ErrorContains(t, err, "1 segments of 3")
}
