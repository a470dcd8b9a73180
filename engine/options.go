package engine

import (
	"log/slog"

	"github.com/tinedb/tine/internal/schedule"
	"github.com/tinedb/tine/internal/vfs"
)

// Options says how a store is opened. The zero value, and nil, are good choices.
type Options struct {
	// ReadOnly opens the store without changing a byte of it: nothing is created,
	// replayed to disk, cleaned up or compacted, and writes return ErrReadOnly. The
	// directory is still locked against a writer.
	ReadOnly bool
	// MustExist makes Open fail with ErrNotStore instead of creating a store.
	MustExist bool

	// MemtableBytes is the memory for unflushed writes of all forks together.
	// When it is used up, memtables are written to tables in the background, and
	// writers are slowed: those of forks that hold much of it, which wait at twice
	// as much. At three times as much all wait. More means fewer, larger flushes and
	// a longer log to replay. Default 64 MiB.
	MemtableBytes int64
	// CacheBytes is the memory for table blocks, shared by all forks. Default
	// 256 MiB.
	CacheBytes int64
	// TableCacheBytes is the memory for the indexes and filters of tables, about
	// 1.5 bytes a row, shared by all forks. A table that falls out of it is opened
	// again when it is read, so it should hold those in use. Filters that stand for
	// several small runs may take an eighth of it beside, and what is written down of
	// the order of rows in several runs a quarter. Default 128 MiB.
	TableCacheBytes int64
	// MaxOpenFiles bounds the table files held open. Default 256, or half of the
	// descriptors that the process may have if that is less.
	MaxOpenFiles int
	// SegmentBytes is the length that log segments are preallocated to. Default
	// 16 MiB.
	SegmentBytes int64
	// MaxLogBytes bounds the log on disk, whatever forks keep it: in the background,
	// what is in memory is written to tables in time, commits to forks that have much of
	// it are slowed down and wait when seven eighths are used, others wait at the bound.
	// If the log cannot be made shorter then, they fail and say why. Batches that are under
	// way when the bound is reached may exceed it; and so may the log, up to twice the
	// bound, while damage keeps a single node out of tables, since that must not stop
	// others: Flush says which node. Then commits and forks fail until the forks that
	// have that node are dropped. With Manual, Flush keeps the bound.
	// At least seven segments. Default four times MemtableBytes or eight segments, and three
	// segments more.
	MaxLogBytes int64
	// TableBytes is about how long one table gets. Default 32 MiB.
	TableBytes int64
	// BlockBytes is about how many bytes of rows one table block holds before
	// compression. Default 16 KiB.
	BlockBytes int

	// Manual turns the background work off: Flush and Compact do it, in the
	// calling goroutine. For tests and for tools that want determinism.
	Manual bool
	// Logger is told of background work and of its failures. Default: nothing is
	// logged.
	Logger *slog.Logger

	// FS is the file system; it is replaced in tests. Default: the operating
	// system's.
	FS vfs.FS
	// Schedule lets tests of this module hold goroutines at named points. Nil
	// everywhere else.
	Schedule *schedule.Schedule
}

func (o *Options) withDefaults() Options {
	var out Options
	if o != nil {
		out = *o
	}
	setDefault(&out.MemtableBytes, 64<<20)
	setDefault(&out.CacheBytes, 256<<20)
	setDefault(&out.TableCacheBytes, 128<<20)
	setDefault(&out.MaxOpenFiles, min(256, max(1, vfs.MaxDescriptors()/2)))
	setDefault(&out.SegmentBytes, 16<<20)
	setDefault(&out.MaxLogBytes, max(4*out.MemtableBytes, 8*out.SegmentBytes)+segmentsBeside*out.SegmentBytes)
	out.MaxLogBytes = max(out.MaxLogBytes, (4+segmentsBeside)*out.SegmentBytes)
	setDefault(&out.TableBytes, 32<<20)
	setDefault(&out.BlockBytes, 16<<10)
	if out.Logger == nil {
		out.Logger = slog.New(slog.DiscardHandler)
	}
	if out.FS == nil {
		out.FS = vfs.OS
	}
	return out
}

func setDefault[T int | int64](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}

// WriteOption changes how one write is acknowledged.
type WriteOption uint8

// NoSync acknowledges a write once the operating system has it: it survives a
// killed process, but not a power loss. Without it a write is acknowledged when
// it is durable. A later synced write, or Store.Sync, makes it durable too.
const NoSync WriteOption = 1

func synced(opts []WriteOption) bool {
	for _, o := range opts {
		if o == NoSync {
			return false
		}
	}
	return true
}
