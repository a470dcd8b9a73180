package engine

import (
	"path"
	"sync/atomic"
	"time"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// FileIO is what was read and written of the files of one kind.
type FileIO struct {
	Reads, BytesRead     uint64
	Writes, BytesWritten uint64
	ReadTimes            Latency // of one read in sixteen
	SyncTimes            Latency
}

// timedReads is how many reads one is timed of: a read that the page cache answers
// takes little longer than looking at the clock.
const timedReads = 16

// ioCounters are a FileIO that is being counted.
type ioCounters struct {
	reads, bytesRead, writes, bytesWritten atomic.Uint64
	readTimes, syncTimes                   histogram
}

func (c *ioCounters) fileIO() FileIO {
	return FileIO{
		Reads: c.reads.Load(), BytesRead: c.bytesRead.Load(), Writes: c.writes.Load(), BytesWritten: c.bytesWritten.Load(),
		ReadTimes: c.readTimes.latency(), SyncTimes: c.syncTimes.latency(),
	}
}

// meterFS counts and times what is done with the files of a store, by kind. It is
// the one place that sees the I/O of log, manifest, tables and jobs alike, and adds
// nothing to what they do.
type meterFS struct {
	vfs.FS
	log, manifest, tables, other ioCounters
	dirSyncs                     histogram
}

func (m *meterFS) of(name string) *ioCounters {
	switch kind, _ := ids.ParseFileName(path.Base(name)); kind {
	case ids.FileSegment:
		return &m.log
	case ids.FileManifest:
		return &m.manifest
	case ids.FileTable:
		return &m.tables
	}
	return &m.other
}

// Create makes a file whose I/O is counted.
func (m *meterFS) Create(name string) (vfs.File, error) { return m.metered(name, m.FS.Create) }

// Open opens a file whose I/O is counted.
func (m *meterFS) Open(name string) (vfs.File, error) { return m.metered(name, m.FS.Open) }

func (m *meterFS) metered(name string, open func(string) (vfs.File, error)) (vfs.File, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	return &meteredFile{File: f, counters: m.of(name)}, nil
}

// SyncDir makes the names in a directory durable, and is timed.
func (m *meterFS) SyncDir(dir string) error {
	defer m.dirSyncs.since(time.Now())
	return m.FS.SyncDir(dir)
}

// meteredFile is a file whose I/O is counted.
type meteredFile struct {
	vfs.File
	counters *ioCounters
}

// ReadAt reads, and is counted.
func (f *meteredFile) ReadAt(b []byte, off int64) (int, error) {
	c := f.counters
	c.bytesRead.Add(uint64(len(b)))
	if c.reads.Add(1)%timedReads == 1 {
		defer c.readTimes.since(time.Now())
	}
	return f.File.ReadAt(b, off)
}

// WriteAt writes, and is counted.
func (f *meteredFile) WriteAt(b []byte, off int64) (int, error) {
	f.counters.writes.Add(1)
	f.counters.bytesWritten.Add(uint64(len(b)))
	return f.File.WriteAt(b, off)
}

// Sync makes the file durable, and is timed.
func (f *meteredFile) Sync() error {
	defer f.counters.syncTimes.since(time.Now())
	return f.File.Sync()
}
