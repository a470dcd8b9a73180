package sstable

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/FastFilter/xorfilter"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
)

// WriterOptions tune a table. The zero value is right for most.
type WriterOptions struct {
	// BlockBytes is the size at which a block is full, before compression: 0
	// means DefaultBlockBytes, 1 gives every row a block of its own, more than
	// MaxBlockBytes is refused. A row that is larger gets a block of its own.
	BlockBytes int
}

// Writer makes one table from rows that come in key order. It writes whole
// blocks to its io.Writer one after the other, so a file should stand behind a
// buffer; it neither flushes nor syncs. It keeps eight bytes of memory per row,
// and the separators. One goroutine may use it at a time.
//
// After an error every further call returns that error, and what was written is
// to be thrown away.
type Writer struct {
	w          io.Writer
	meta       Meta
	blockBytes int

	block     blockBuilder
	index     indexBuilder
	hashes    []uint64
	last      []byte // key of the last row
	separator []byte
	raw       []byte // payload of the block being stored
	stored    []byte // the same as a part

	writtenBytes uint64 // of the table, to w
	rawDataBytes uint64 // of its blocks before compression
	err          error
	populate     func([]uint64) (*xorfilter.BinaryFuse8, error)
}

// errFinished is what a Writer says after Finish.
var errFinished = errors.New("table is finished")

// NewWriter starts table id. Its bytes will be written to w; file and offset say
// where they come to lie, and only go into the Meta.
func NewWriter(w io.Writer, id ids.TableID, file ids.FileNum, offset uint64, opts WriterOptions) *Writer {
	wr := &Writer{
		w:          w,
		meta:       Meta{ID: id, File: file, Offset: offset},
		blockBytes: opts.BlockBytes,
		populate:   xorfilter.PopulateBinaryFuse8,
	}
	if wr.blockBytes == 0 {
		wr.blockBytes = DefaultBlockBytes
	}
	if wr.blockBytes < 0 || wr.blockBytes > MaxBlockBytes {
		wr.err = fmt.Errorf("write table %d: block size of %d bytes is outside 1 to %d", id, wr.blockBytes, MaxBlockBytes)
	}
	return wr
}

// Add appends a row; key and value are copied. Keys must rise strictly, a
// tombstone has no value, and both are limited by MaxKeyBytes and MaxValueBytes.
func (w *Writer) Add(key []byte, kind iterator.Kind, value []byte) error {
	if w.err != nil {
		return w.err
	}
	if err := w.check(key, kind, value); err != nil {
		w.err = fmt.Errorf("write table %d: row %d: %w", w.meta.ID, w.meta.Rows, err)
		return w.err
	}
	// The trailer counts into the block's size, so that a full block and its
	// trailer fill one allocation of a round size.
	if !w.block.add(key, kind, value, w.blockBytes-partTrailerBytes) {
		w.separator = appendSeparator(w.separator[:0], w.last, key)
		if err := w.flushBlock(); err != nil {
			return err
		}
		w.block.add(key, kind, value, w.blockBytes-partTrailerBytes)
	}
	if w.meta.Rows == 0 {
		w.meta.Smallest = bytes.Clone(key)
	}
	w.last = append(w.last[:0], key...)
	w.hashes = append(w.hashes, KeyHash(key))
	w.meta.Rows++
	w.meta.KeyBytes += uint64(len(key))
	w.meta.ValueBytes += uint64(len(value))
	if kind == iterator.Tombstone {
		w.meta.Tombstones++
	}
	return nil
}

func (w *Writer) check(key []byte, kind iterator.Kind, value []byte) error {
	switch {
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("key of %d bytes is over the limit of %d", len(key), MaxKeyBytes)
	case len(value) > MaxValueBytes:
		return fmt.Errorf("value of %d bytes is over the limit of %d", len(value), MaxValueBytes)
	case kind != iterator.Set && kind != iterator.Tombstone:
		return fmt.Errorf("unknown kind %d", kind)
	case kind == iterator.Tombstone && len(value) > 0:
		return fmt.Errorf("tombstone with a value of %d bytes", len(value))
	case w.meta.Rows == MaxRows:
		return fmt.Errorf("a table has %d rows at most", uint64(MaxRows))
	case w.meta.Rows > 0 && bytes.Compare(key, w.last) <= 0:
		return fmt.Errorf("key %q does not come after %q", key, w.last)
	}
	return nil
}

// Rows is the number of rows added.
func (w *Writer) Rows() uint64 { return w.meta.Rows }

// EstimatedBytes is about the size that the table would have if it were finished
// now, the block being built counted before compression.
func (w *Writer) EstimatedBytes() uint64 {
	n := w.writtenBytes + footerBytes
	if w.block.rows() > 0 {
		n += uint64(w.block.sizeBytes() + partTrailerBytes)
	}
	filterBytes := filterHeaderBytes + w.meta.Rows + w.meta.Rows/7
	properties := propertiesFixedBytes + len(w.meta.Smallest) + len(w.last)
	return n + filterBytes + uint64(w.index.estimatedBytes()+properties+3*partTrailerBytes)
}

// flushBlock stores the block being built. w.separator must hold its separator.
func (w *Writer) flushBlock() error {
	rows := w.block.rows()
	w.raw = w.block.finish(w.raw[:0])
	var c codec
	w.stored, c = compress(w.stored[:0], w.raw)
	w.stored = sealPart(w.stored, w.meta.ID, w.writtenBytes, c)
	w.index.add(builtBlock{storedBytes: len(w.stored), rawBytes: len(w.raw), rows: rows}, w.separator)
	w.rawDataBytes += uint64(len(w.raw))
	err := w.write(w.stored)
	if cap(w.raw) > 2*MaxBlockBytes {
		w.raw, w.stored = nil, nil // do not keep what one huge row needed
	}
	return err
}

func (w *Writer) write(p []byte) error {
	n, err := w.w.Write(p)
	if err == nil && n != len(p) {
		err = io.ErrShortWrite
	}
	if err != nil {
		w.err = fmt.Errorf("write %s at %d: %w", w.meta.name(), w.meta.Offset+w.writtenBytes, err)
		return w.err
	}
	w.writtenBytes += uint64(n)
	return nil
}

// writeRawPart writes payload as a part and gives its length.
func (w *Writer) writeRawPart(payload []byte) (uint64, error) {
	part := sealPart(payload, w.meta.ID, w.writtenBytes, codecRaw)
	return uint64(len(part)), w.write(part)
}

// Finish writes the last block, the filter, the index, the properties and the
// footer, and gives the Meta of the table. The bytes are written, not durable. A
// table without rows is refused, and nothing is written then.
func (w *Writer) Finish() (Meta, error) {
	if w.err != nil {
		return Meta{}, w.err
	}
	if w.meta.Rows == 0 {
		w.err = fmt.Errorf("write table %d: no rows", w.meta.ID)
		return Meta{}, w.err
	}
	w.meta.Largest = bytes.Clone(w.last)
	w.separator = append(w.separator[:0], w.last...)
	if err := w.flushBlock(); err != nil {
		return Meta{}, err
	}
	if err := w.writeTail(); err != nil {
		return Meta{}, err
	}
	meta := w.meta
	meta.Length = w.writtenBytes
	*w = Writer{meta: w.meta, err: errFinished}
	return meta, nil
}

// writeTail writes all that follows the data blocks.
func (w *Writer) writeTail() error {
	foot := footer{id: w.meta.ID, dataBytes: w.writtenBytes}
	var err error

	f := buildFilter(w.hashes, w.populate)
	if foot.filterBytes, err = w.writeRawPart(f.appendTo(w.raw[:0])); err != nil {
		return err
	}

	common := commonPrefix(w.meta.Smallest, w.meta.Largest)
	payload := w.index.finish(w.raw[:0], w.meta.Smallest[:common])
	if len(payload) > maxIndexBytes {
		w.err = fmt.Errorf("write table %d: index of %d bytes is over the limit of %d", w.meta.ID, len(payload), maxIndexBytes)
		return w.err
	}
	if foot.indexBytes, err = w.writeRawPart(payload); err != nil {
		return err
	}

	properties := Properties{
		Rows:         w.meta.Rows,
		Tombstones:   w.meta.Tombstones,
		KeyBytes:     w.meta.KeyBytes,
		ValueBytes:   w.meta.ValueBytes,
		Smallest:     w.meta.Smallest,
		Largest:      w.meta.Largest,
		Blocks:       uint64(len(w.index.blocks)),
		BlockBytes:   uint64(w.blockBytes),
		RawDataBytes: w.rawDataBytes,
	}
	if foot.propertiesBytes, err = w.writeRawPart(properties.appendTo(w.raw[:0])); err != nil {
		return err
	}

	foot.tableBytes = w.writtenBytes + footerBytes
	return w.write(foot.appendTo(w.raw[:0]))
}
