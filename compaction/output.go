package compaction

import (
	"errors"
	"fmt"
	"path"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/invariant"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/sstable"
)

// DefaultTableBytes is the size at which a table is cut when none is given: a
// merge of a part of the keys then leaves most of the tables alone, and yet a
// large store has only tens of tables a gigabyte.
const DefaultTableBytes = 32 << 20

// OutputOptions tune an Output. NextFile and NextTable are required; they may be
// called at any time during Add.
type OutputOptions struct {
	TableBytes uint64 // a table is cut at about this size; 0 means DefaultTableBytes
	FileBytes  uint64 // no table begins in a file this long; 0 means TableBytes
	BlockBytes int    // as in sstable.WriterOptions
	NextFile   func() ids.FileNum
	NextTable  func() ids.TableID
}

// Output writes runs into tables and tables into files. A run may span several
// files, and a file may hold tables of several runs: thousands of tiny flushes
// then share one file and one sync.
//
// One goroutine may use it at a time. After an error, every further call but
// Discard and Close returns it: nothing that was written may then be used. No
// file is named anywhere, so what a crash leaves behind is an orphan.
type Output struct {
	fs   vfs.FS
	dir  string
	opts OutputOptions

	files []*outputFile // every file made; only the last may be open
	bytes uint64        // of all files but the last
	buf   []byte        // of the last file, passed on from file to file

	table     *sstable.Writer // the table being written, nil if none
	tableID   ids.TableID     // of the last table begun
	tableRows uint64          // rows added to it
	run       []sstable.Meta  // the tables of the run so far
	runRows   uint64          // rows added to the run
	rows      uint64          // rows added in all

	sealed bool // by Sync
	err    error
}

// NewOutput makes an Output for files in dir. Nothing is created before the
// first row.
func NewOutput(fs vfs.FS, dir string, o OutputOptions) *Output {
	invariant.Check(o.NextFile != nil && o.NextTable != nil, "an output needs numbers for files and tables")
	if o.TableBytes == 0 {
		o.TableBytes = DefaultTableBytes
	}
	if o.FileBytes == 0 {
		o.FileBytes = o.TableBytes
	}
	return &Output{fs: fs, dir: dir, opts: o}
}

// Add appends a row to the current run; key and value are copied. Keys must rise
// strictly within a run. The row is durable only after EndRun and Sync.
func (o *Output) Add(key []byte, kind iterator.Kind, value []byte) error {
	invariant.Check(!o.sealed, "a row is added to an output that is synced")
	if o.err != nil {
		return o.err
	}
	if o.table != nil && o.table.EstimatedBytes() >= o.opts.TableBytes {
		if err := o.endTable(); err != nil {
			return err
		}
	}
	if o.table == nil {
		if err := o.beginTable(); err != nil {
			return err
		}
	}
	if err := o.table.Add(key, kind, value); err != nil {
		return o.fail(err)
	}
	o.tableRows++
	o.runRows++
	o.rows++
	return nil
}

// place tells into which table the last row went, and as which of its rows.
func (o *Output) place() (table ids.TableID, ordinal uint64) { return o.tableID, o.tableRows - 1 }

// EndRun ends the current run and gives its tables in key order, nil if it has
// no rows. The next Add begins another run.
func (o *Output) EndRun() ([]sstable.Meta, error) {
	if o.err != nil {
		return nil, o.err
	}
	if o.table != nil {
		if err := o.endTable(); err != nil {
			return nil, err
		}
	}
	run := o.run
	var rows uint64
	for i := range run {
		rows += run[i].Rows
	}
	invariant.Check(rows == o.runRows, "a run of %d rows has %d in its tables", o.runRows, rows)
	o.run, o.runRows = nil, 0
	return run, nil
}

// AddTable appends a whole table as it lies elsewhere, and tells where it is now. Its
// parts are bound to its id and to their offsets inside it, so that it is as good at
// the new place. It is of no run, and none may be open. The table is durable there
// only after Sync.
func (o *Output) AddTable(whole []byte, m sstable.Meta) (sstable.Meta, error) {
	invariant.Check(!o.sealed && o.table == nil && o.runRows == 0, "a table is added in the middle of a run, or after the end")
	invariant.Check(uint64(len(whole)) == m.Length, "table %d has %d bytes, %d are copied", m.ID, m.Length, len(whole))
	if o.err != nil {
		return m, o.err
	}
	if err := o.roomForTable(); err != nil {
		return m, err
	}
	m.File, m.Offset = o.last().num, o.last().bytes
	if _, err := o.Write(whole); err != nil {
		return m, o.fail(err)
	}
	return m, nil
}

// Sync makes all runs durable, names included; only then may the manifest speak
// of them. No run may be open, and no row may be added after it. A failed sync
// is never tried again.
func (o *Output) Sync() error {
	if o.err != nil {
		return o.err
	}
	invariant.Check(o.table == nil && o.runRows == 0, "an output is synced in the middle of a run")
	if o.sealed {
		return nil
	}
	o.sealed = true
	if len(o.files) == 0 {
		return nil
	}
	if err := o.last().finish(o.buf); err != nil {
		return o.fail(err)
	}
	o.buf = nil
	if err := o.fs.SyncDir(o.dir); err != nil {
		return o.fail(fmt.Errorf("sync directory %s: %w", o.dir, err))
	}
	return nil
}

// Files gives the files that were made and not discarded, in order.
func (o *Output) Files() []ids.FileNum {
	nums := make([]ids.FileNum, len(o.files))
	for i, f := range o.files {
		nums[i] = f.num
	}
	return nums
}

// FileBytes gives the length of each file, in the order of Files, buffered bytes
// included: it counts also tables that nobody may want in the end.
func (o *Output) FileBytes() []uint64 {
	lengths := make([]uint64, len(o.files))
	for i, f := range o.files {
		lengths[i] = f.bytes
	}
	return lengths
}

// Bytes is the length of all files together, buffered bytes included.
func (o *Output) Bytes() uint64 {
	if len(o.files) == 0 {
		return o.bytes
	}
	return o.bytes + o.last().bytes
}

// Close closes the handles and keeps the files. It may be called more than once.
func (o *Output) Close() error {
	if len(o.files) == 0 {
		return nil
	}
	return o.last().close()
}

// Discard closes and removes all files: the job failed, or its result is not
// wanted. It works in every state. Files that could not be removed stay in
// Files, and Discard may be called again.
func (o *Output) Discard() error {
	var problems []error
	var left []*outputFile
	for _, f := range o.files {
		if err := f.close(); err != nil {
			problems = append(problems, err)
		}
		if err := o.fs.Remove(f.name); err != nil {
			problems = append(problems, fmt.Errorf("remove %s: %w", f.name, err))
			left = append(left, f)
		}
	}
	o.files, o.table, o.buf, o.bytes = left, nil, nil, 0
	if o.err == nil {
		o.err = errDiscarded
	}
	return errors.Join(problems...)
}

var errDiscarded = errors.New("the output is discarded")

func (o *Output) last() *outputFile { return o.files[len(o.files)-1] }

// fail notes the first error.
func (o *Output) fail(err error) error {
	o.err = fmt.Errorf("write tables: %w", err)
	return o.err
}

// roomForTable makes a new file if there is none, or if the last one is full.
func (o *Output) roomForTable() error {
	if len(o.files) > 0 && o.last().bytes < o.opts.FileBytes {
		return nil
	}
	if err := o.beginFile(); err != nil {
		return o.fail(err)
	}
	return nil
}

// beginTable starts a table in the last file, or in a new one if that is full.
func (o *Output) beginTable() error {
	if err := o.roomForTable(); err != nil {
		return err
	}
	f := o.last()
	o.tableID, o.tableRows = o.opts.NextTable(), 0
	o.table = sstable.NewWriter(o, o.tableID, f.num, f.bytes, sstable.WriterOptions{BlockBytes: o.opts.BlockBytes})
	return nil
}

func (o *Output) endTable() error {
	meta, err := o.table.Finish()
	if err != nil {
		return o.fail(err)
	}
	o.table = nil
	o.run = append(o.run, meta)
	invariant.Check(o.last().bytes == meta.Offset+meta.Length, "table %d should end at %d, its file at %d",
		meta.ID, meta.Offset+meta.Length, o.last().bytes)
	return nil
}

// beginFile finishes the last file and makes the next. A full file is synced and
// closed at once: a large merge would otherwise hold hundreds of descriptors and
// leave all its writing to one long sync at the end.
func (o *Output) beginFile() error {
	if len(o.files) > 0 {
		if err := o.last().finish(o.buf); err != nil {
			return err
		}
		o.bytes += o.last().bytes
		o.buf = o.buf[:0]
	}
	num := o.opts.NextFile()
	name := path.Join(o.dir, ids.TableFileName(num))
	h, err := o.fs.Create(name)
	if err != nil {
		return fmt.Errorf("create %s: %w", name, err)
	}
	o.files = append(o.files, &outputFile{num: num, name: name, h: h})
	return nil
}

// Write takes the bytes of the table being written or added. It is there for
// sstable.Writer alone.
func (o *Output) Write(p []byte) (int, error) {
	f := o.last()
	f.bytes += uint64(len(p))
	if len(o.buf)+len(p) <= writeBytes {
		o.buf = append(o.buf, p...)
		return len(p), nil
	}
	if err := f.write(o.buf); err != nil {
		return 0, err
	}
	o.buf = o.buf[:0]
	if len(p) >= writeBytes {
		if err := f.write(p); err != nil {
			return 0, err
		}
		return len(p), nil
	}
	o.buf = append(o.buf, p...)
	return len(p), nil
}
