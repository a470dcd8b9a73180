package wal

import (
	"bytes"
	"encoding/binary"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
)

// The largest key and value that a decoder accepts. The engine's own limits
// must not exceed them, else it could not read back what it wrote.
const (
	MaxKeyBytes   = 64 << 10
	MaxValueBytes = 64 << 20
)

// The sizes of the fixed fields of a batch payload.
const (
	batchCountBytes = 4
	partHeaderBytes = 8 + 8 + 4 + 4
)

// BatchPart is what one batch does to one fork. All parts of a batch have one
// LSN and become visible together.
type BatchPart struct {
	Fork     ids.ForkID
	Memtable ids.NodeID // the fork's memtable when the batch got its LSN
	Count    uint32     // how many operations Ops holds
	Ops      []byte     // as AppendOp made them
}

// BatchBytes is the size of the payload that AppendBatch makes. It depends on
// nothing but the lengths, so it is known before LSN and memtables are.
func BatchBytes(parts []BatchPart) int {
	n := batchCountBytes
	for i := range parts {
		n += partHeaderBytes + len(parts[i].Ops)
	}
	return n
}

// AppendBatch extends dst by the payload of a batch record.
func AppendBatch(dst []byte, parts []BatchPart) []byte {
	dst = AppendBatchHeader(dst, parts)
	for i := range parts {
		dst = append(dst, parts[i].Ops...)
	}
	return dst
}

// AppendBatchHeader extends dst by the front of a batch payload. The parts'
// operations follow it in order, so a caller can hand them to Log.Append as
// they are instead of copying them twice:
//
//	log.Append(lsn, KindBatch, AppendBatchHeader(scratch[:0], parts), parts[0].Ops, parts[1].Ops)
func AppendBatchHeader(dst []byte, parts []BatchPart) []byte {
	dst = appendUint32(dst, uint32(len(parts)))
	for i := range parts {
		p := &parts[i]
		dst = appendUint64(dst, uint64(p.Fork))
		dst = appendUint64(dst, uint64(p.Memtable))
		dst = appendUint32(dst, p.Count)
		dst = appendUint32(dst, uint32(len(p.Ops)))
	}
	return dst
}

// DecodeBatch decodes the payload of a batch record and checks every operation
// in it. Ops alias the payload.
func DecodeBatch(payload []byte) ([]BatchPart, error) {
	c := cursor{rest: payload}
	count := c.uint32()
	if c.short || uint64(count)*partHeaderBytes > uint64(len(c.rest)) {
		return nil, badPayload("batch of %d bytes is too short for its %d parts", len(payload), count)
	}
	headers := cursor{rest: c.rest[:int(count)*partHeaderBytes]}
	ops := c.rest[int(count)*partHeaderBytes:]
	parts := make([]BatchPart, count)
	for i := range parts {
		p := &parts[i]
		p.Fork, p.Memtable, p.Count = ids.ForkID(headers.uint64()), ids.NodeID(headers.uint64()), headers.uint32()
		opsBytes := headers.uint32()
		if uint64(opsBytes) > uint64(len(ops)) {
			return nil, badPayload("batch part %d claims %d bytes of %d", i, opsBytes, len(ops))
		}
		p.Ops, ops = ops[:opsBytes:opsBytes], ops[opsBytes:]
		if err := checkOps(p.Ops, p.Count); err != nil {
			return nil, err
		}
	}
	if len(ops) != 0 {
		return nil, badPayload("batch has %d bytes too many", len(ops))
	}
	return parts, nil
}

// AppendOp extends dst by one encoded operation: kind, key length, for all but a
// Tombstone the value length, key, value. A Tombstone's value must be empty. The
// key and value of a RangeDelete are the first key and the end; empty means open,
// and an end must be above the first key.
func AppendOp(dst []byte, kind iterator.Kind, key, value []byte) []byte {
	invariant.Check(kind == iterator.Set || kind == iterator.Tombstone && len(value) == 0 || kind == iterator.RangeDelete && rangeHolds(key, value),
		"wal: operation of kind %d with a key of %d and a value of %d bytes", kind, len(key), len(value))
	invariant.Check(len(key) <= MaxKeyBytes && len(value) <= MaxValueBytes, "wal: operation with a key of %d and a value of %d bytes", len(key), len(value))
	dst = append(dst, byte(kind))
	dst = binary.AppendUvarint(dst, uint64(len(key)))
	if kind != iterator.Tombstone {
		dst = binary.AppendUvarint(dst, uint64(len(value)))
	}
	dst = append(dst, key...)
	return append(dst, value...)
}

// rangeHolds tells whether a range delete's bounds are ones that may be written.
func rangeHolds(lo, hi []byte) bool {
	return len(hi) <= MaxKeyBytes && (len(hi) == 0 || bytes.Compare(lo, hi) < 0)
}

// OpReader walks encoded operations in order. Its zero value has none.
type OpReader struct {
	rest []byte
	err  error
}

// NewOpReader walks ops. What Next returns aliases them.
func NewOpReader(ops []byte) OpReader { return OpReader{rest: ops} }

// Next gives the next operation; ok is false at the end and after bad bytes,
// which Err tells apart.
func (r *OpReader) Next() (kind iterator.Kind, key, value []byte, ok bool) {
	if len(r.rest) == 0 {
		return 0, nil, nil, false
	}
	b := r.rest
	kind = iterator.Kind(b[0])
	if kind != iterator.Set && kind != iterator.Tombstone && kind != iterator.RangeDelete {
		return r.fail("operation of unknown kind %d", kind)
	}
	keyBytes, b, good := takeLength(b[1:], MaxKeyBytes)
	var valueBytes int
	if good && kind != iterator.Tombstone {
		valueBytes, b, good = takeLength(b, MaxValueBytes)
	}
	if !good || keyBytes > len(b) || valueBytes > len(b)-keyBytes {
		return r.fail("operation is cut short or too long")
	}
	end := keyBytes + valueBytes
	key, value = b[:keyBytes:keyBytes], b[keyBytes:end:end]
	if kind == iterator.RangeDelete && !rangeHolds(key, value) {
		return r.fail("range delete whose end is not above its start")
	}
	r.rest = b[end:]
	return kind, key, value, true
}

// More tells whether any bytes are left, for Next to give or to refuse.
func (r *OpReader) More() bool { return len(r.rest) > 0 }

// Err is nil unless Next met bytes that are no operation.
func (r *OpReader) Err() error { return r.err }

func (r *OpReader) fail(format string, args ...any) (iterator.Kind, []byte, []byte, bool) {
	r.rest, r.err = nil, badPayload(format, args...)
	return 0, nil, nil, false
}

// takeLength takes a length of at most limit off b. Only the shortest spelling
// of a number is accepted, so decoding and encoding again gives the same bytes.
func takeLength(b []byte, limit uint64) (int, []byte, bool) {
	v, n := binary.Uvarint(b)
	if n <= 0 || v > limit || n > 1 && b[n-1] == 0 {
		return 0, b, false
	}
	return int(v), b[n:], true
}

// checkOps walks ops once, so that whoever reads them later meets no error.
func checkOps(ops []byte, count uint32) error {
	r := NewOpReader(ops)
	n := uint64(0)
	for {
		if _, _, _, ok := r.Next(); !ok {
			break
		}
		n++
	}
	if r.Err() != nil {
		return r.Err()
	}
	if n != uint64(count) {
		return badPayload("%d operations where %d are announced", n, count)
	}
	return nil
}
