package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/tinedb/tine/internal/ids"
)

// clocks are what the store times as it goes; the times of I/O are with meterFS.
type clocks struct {
	flushes, merges, memoryWaits, logWaits histogram
}

// Timings say what a store has waited for since it was opened: what a slow store
// is to be asked first.
type Timings struct {
	Log, Manifest, Tables FileIO
	DirSyncs              Latency
	Flushes               Latency // jobs that wrote memory to tables, each of one or many nodes
	Merges                Latency // jobs that wrote tables again
	MemoryWaits           Latency // of commits, because memory had to be written to tables first
	LogWaits              Latency // of commits, because the log was near its bound
	// MergeLag is how long ago merges were last at rest, 0 if they are now. It grows
	// while more comes than merges keep up with.
	MergeLag time.Duration
}

// Timings gives the present figures. It takes no lock that writers or readers take.
func (s *Store) Timings() Timings {
	m, c := s.fs.meter, &s.clock
	return Timings{
		Log: m.log.fileIO(), Manifest: m.manifest.fileIO(), Tables: m.tables.fileIO(), DirSyncs: m.dirSyncs.latency(),
		Flushes: c.flushes.latency(), Merges: c.merges.latency(),
		MemoryWaits: c.memoryWaits.latency(), LogWaits: c.logWaits.latency(),
		MergeLag: s.back.mergeLag(time.Now()),
	}
}

func (b *background) mergeLag(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w := &b.merge; w.pending || w.begun > w.done {
		return max(now.Sub(w.rested), 0)
	}
	return 0
}

// DiskUsage is how long the files in the store's directory are, by kind, whether or
// not anything needs them. Log segments are preallocated: they take their full
// length from the beginning.
type DiskUsage struct {
	LogBytes, ManifestBytes, TableBytes, OtherBytes int64
	LogFiles, TableFiles                            int
}

// DiskUsage looks at every file in the directory. A file that goes meanwhile counts
// as gone. It takes no lock, and costs O(files).
func (s *Store) DiskUsage() (DiskUsage, error) {
	var u DiskUsage
	if s.closed.Load() {
		return u, ErrClosed
	}
	names, err := s.fs.List(s.dir)
	if err != nil {
		return u, fmt.Errorf("list %s: %w", s.dir, err)
	}
	for _, name := range names {
		n, err := s.fs.Size(path.Join(s.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return u, fmt.Errorf("size of %s: %w", name, err)
		}
		switch kind, _ := ids.ParseFileName(name); kind {
		case ids.FileSegment:
			u.LogBytes += n
			u.LogFiles++
		case ids.FileManifest:
			u.ManifestBytes += n
		case ids.FileTable:
			u.TableBytes += n
			u.TableFiles++
		default:
			u.OtherBytes += n
		}
	}
	return u, nil
}

// Health tells why the store does not take writes: ErrPoisoned, with what has
// stopped it, ErrReadOnly or ErrClosed; nil if it takes them. It touches no disk: a
// disk that has become full shows in the writes themselves, and is no failure.
func (s *Store) Health() error {
	switch {
	case s.closed.Load():
		return ErrClosed
	case s.opts.ReadOnly:
		return ErrReadOnly
	}
	return s.failure()
}
