package engine

import (
	"fmt"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

// logAlone checks the segments of a log one by one, for when it cannot be
// replayed. Records are decoded and not applied.
func (c *checker) logAlone() error {
	c.report.LogRecords = 0
	return wal.Verify(c.s.fs, c.s.dir, func(rec wal.Record) error {
		c.report.LogRecords++
		return decodes(rec)
	}, func(ce *errs.CorruptError) { c.problem(ce) })
}

// decodes tells whether a record's payload is one that this version writes.
func decodes(rec wal.Record) (err error) {
	switch rec.Kind {
	case wal.KindBatch:
		parts, err := wal.DecodeBatch(rec.Payload)
		if err != nil {
			return err
		}
		for _, p := range parts {
			ops := wal.NewOpReader(p.Ops)
			for ok := true; ok; {
				_, _, _, ok = ops.Next()
			}
			if err := ops.Err(); err != nil {
				return err
			}
		}
	case wal.KindFreeze:
		_, err = wal.DecodeFreeze(rec.Payload)
	case wal.KindFork:
		_, err = wal.DecodeFork(rec.Payload)
	case wal.KindSnapshot:
		_, err = wal.DecodeSnapshot(rec.Payload)
	case wal.KindReset:
		_, err = wal.DecodeReset(rec.Payload)
	case wal.KindForkMany:
		_, err = wal.DecodeForkMany(rec.Payload)
	case wal.KindDropMany:
		_, err = wal.DecodeDropMany(rec.Payload)
	case wal.KindDrop:
		_, err = wal.DecodeDrop(rec.Payload)
	case wal.KindDropSnapshot:
		_, err = wal.DecodeDropSnapshot(rec.Payload)
	case wal.KindRename:
		_, err = wal.DecodeRename(rec.Payload)
	case wal.KindRenameSnapshot:
		_, err = wal.DecodeRenameSnapshot(rec.Payload)
	default:
		err = fmt.Errorf("%w: this version writes no records of kind %v", wal.ErrBadPayload, rec.Kind)
	}
	return err
}

// tablesAlone checks each table file by what it says itself, for when there is no
// manifest. Which forks it matters to cannot be told.
func (c *checker) tablesAlone() error {
	names, err := c.s.fs.List(c.s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		kind, num := ids.ParseFileName(name)
		if kind != ids.FileTable {
			continue
		}
		c.report.Files++
		n, err := c.s.tables.VerifyFile(num, 0, c.level != CheckQuick, func(f sstable.Fault) { c.add(faultProblem(&f, 0)) })
		c.report.Tables += n
		switch {
		case err == nil:
		case unreadable(err):
			c.add(Problem{File: name, Offset: -1, Text: err.Error(), Unreadable: true})
		default:
			return err
		}
	}
	return nil
}
