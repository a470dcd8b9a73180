package churn

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
)

// exact compares everything there is with what there must be. Faults end before.
func (r *run) exact() error {
	r.counts.Add("exact checks", 1)
	if r.rng.IntN(3) > 0 {
		if err := r.letAllGo(); err != nil {
			return err
		}
	}
	if err := r.healthy(); err != nil {
		return err
	}
	flushed := r.rng.IntN(3) == 0
	if flushed {
		if err := r.store.Flush(); err != nil {
			return err
		}
	}
	atRest := r.rng.IntN(2) == 0
	if atRest {
		if _, err := r.rest(); err != nil {
			return err
		}
	}
	if err := r.store.Settle(); err != nil {
		return err
	}
	if err := r.compareContents(); err != nil {
		return err
	}
	for _, h := range r.held {
		if err := h.step(5); err != nil {
			return err
		}
	}
	if err := r.store.Settle(); err != nil { // reads have renewed views
		return err
	}
	if err := r.store.Verify(); err != nil {
		return err
	}
	if err := r.compareFiles(flushed, atRest); err != nil {
		return err
	}
	failed, retried := r.unlinks.counted()
	if failed > r.lastFailed {
		r.counts.Add("exact checks after failed unlinks", 1)
	}
	r.counts.Add("unlinks that failed", failed-r.lastFailed)
	r.counts.Add("unlinks retried", retried-r.lastRetried)
	r.lastFailed, r.lastRetried = failed, retried
	return nil
}

// compareContents reads every live fork and snapshot whole.
func (r *run) compareContents() error {
	st := r.store.Stats()
	r.mostTables = max(r.mostTables, st.Tables)
	if st.Forks != len(r.live) || st.Snapshots != len(r.snapshots) || st.OpenIterators != len(r.held) {
		return fmt.Errorf("the store counts %d forks, %d snapshots and %d iterators; there are %d, %d and %d",
			st.Forks, st.Snapshots, st.OpenIterators, len(r.live), len(r.snapshots), len(r.held))
	}
	for i, f := range r.live {
		if got := f.handle.Name(); got != f.name {
			return fmt.Errorf("fork %s is called %s", f.name, got)
		}
		if err := r.compareAll(f.handle, f.contents, i%8 == 0); err != nil {
			return fmt.Errorf("fork %s: %w", f.name, err)
		}
		r.counts.Add("forks compared", 1)
	}
	for _, s := range r.snapshots {
		if err := r.compareAll(s.handle, s.contents, false); err != nil {
			return fmt.Errorf("snapshot %s: %w", s.name, err)
		}
	}
	if n := r.liveChain(); n >= 64 {
		r.counts.Add("live chains of 64 or more", 1)
	}
	return nil
}

// liveChain is how many live forks the longest line of descent has.
func (r *run) liveChain() int {
	longest, lengths := 0, map[*fork]int{}
	for _, f := range r.live { // parents come before their children
		p := f.parent
		for p != nil && p.dropped {
			p = p.parent
		}
		lengths[f] = lengths[p] + 1
		longest = max(longest, lengths[f])
	}
	return longest
}

// reader is what a fork and a snapshot have in common.
type reader interface {
	Get(key []byte) ([]byte, error)
	NewIter(r engine.Range) (*engine.Iterator, error)
}

// compareAll walks all rows, and if thorough also backwards and by gets.
func (r *run) compareAll(from reader, want model.Contents, thorough bool) error {
	it, err := from.NewIter(engine.Range{})
	if err != nil {
		return err
	}
	defer it.Close()
	ok := it.First()
	for i := range want.Len() + 1 {
		if err := compareRow(ok, it, i, want); err != nil {
			return err
		}
		ok = it.Next()
	}
	if thorough {
		ok := it.Last()
		for i := want.Len() - 1; i >= 0; i-- {
			if err := compareRow(ok, it, i, want); err != nil {
				return fmt.Errorf("backwards: %w", err)
			}
			ok = it.Prev()
		}
		if ok {
			return fmt.Errorf("backwards: row %q before the first", it.Key())
		}
		for i := range r.config.keys {
			if err := compareGet(from, keyOf(i), want); err != nil {
				return err
			}
		}
	}
	return it.Close()
}

// compareRow demands that the iterator, whose last move told ok, is on the i-th
// row, or behind the last.
func compareRow(ok bool, it *engine.Iterator, i int, want model.Contents) error {
	switch {
	case !ok && it.Error() != nil:
		return it.Error()
	case ok && i >= want.Len():
		return fmt.Errorf("row %q = %.80q after the last of %d", it.Key(), it.Value(), want.Len())
	case !ok && i < want.Len():
		key, _ := want.At(i)
		return fmt.Errorf("the rows end before %q, after %d of %d", key, i, want.Len())
	case !ok:
		return nil
	}
	key, value := want.At(i)
	if string(it.Key()) != key || string(it.Value()) != value {
		return fmt.Errorf("row %d is %q = %.80q, want %q = %.80q", i, it.Key(), it.Value(), key, value)
	}
	return nil
}

func compareGet(from reader, key string, want model.Contents) error {
	got, err := from.Get([]byte(key))
	value, exists := want.Get(key)
	switch {
	case !exists && !errors.Is(err, engine.ErrNotFound):
		return fmt.Errorf("get %s: got %.80q and the error %v, want none", key, got, err)
	case exists && (err != nil || string(got) != value):
		return fmt.Errorf("get %s: got %.80q and the error %v, want %.80q", key, got, err, value)
	}
	return nil
}

// footprint is what the directory holds.
type footprint struct {
	tables, segments, manifests, others int
	tableBytes, segmentBytes            int64
	manifestBytes                       int64
}

func (r *run) footprint() (footprint, error) {
	var f footprint
	names, err := r.unlinks.List(r.dir)
	if err != nil {
		return f, err
	}
	for _, name := range names {
		size, err := r.unlinks.Size(path.Join(r.dir, name))
		if errors.Is(err, fs.ErrNotExist) && strings.HasSuffix(name, ".wal") {
			continue // the log lets a spare segment go by itself, at any time
		}
		if err != nil {
			return f, err
		}
		switch {
		case strings.HasSuffix(name, ".sst"):
			f.tables++
			f.tableBytes += size
		case strings.HasSuffix(name, ".wal"):
			f.segments++
			f.segmentBytes += size
		case strings.HasPrefix(name, "MANIFEST"):
			f.manifests++
			f.manifestBytes += size
		default:
			f.others++
		}
	}
	return f, nil
}

// compareFiles compares the files on disk with those that are needed, as the
// store counts them and as an examination of its disk finds them. flushed says
// that everything is in tables, and the log trimmed; atRest, that the store is at rest.
func (r *run) compareFiles(flushed, atRest bool) error {
	for _, name := range r.unlinks.left() {
		if strings.HasSuffix(name, ".sst") || flushed && strings.HasSuffix(name, ".wal") {
			return fmt.Errorf("%s could once not be removed, and nobody tries again", name)
		}
		r.counts.Add("segments that stay until a flush, manifests that stay until a reopen", 1)
	}
	st := r.store.Stats()
	disk, err := r.footprint()
	if err != nil {
		return err
	}
	if disk.tables != st.Files {
		return fmt.Errorf("%d table files are on disk, %d are needed", disk.tables, st.Files)
	}
	if uint64(disk.tableBytes) < st.TableBytes {
		return fmt.Errorf("the table files have %d bytes, the tables that are needed %d", disk.tableBytes, st.TableBytes)
	}
	if len(r.unlinks.left()) == 0 {
		if disk.manifests != 1 || disk.others != 2 {
			return fmt.Errorf("%d manifests and %d other files are on disk, want 1 and CURRENT and LOCK", disk.manifests, disk.others)
		}
		if uint64(disk.segmentBytes) < st.WALBytes {
			return fmt.Errorf("the log's files have %d bytes, the store counts %d in use", disk.segmentBytes, st.WALBytes)
		}
	}
	if r.disk == nil || r.rng.IntN(3) == 0 {
		return r.examineClosed(atRest)
	}
	image := r.disk.AfterKill()
	if err := r.noteRecords(image); err != nil {
		return err
	}
	report, err := engine.Check(r.dir, engine.CheckOptions{Level: r.level(), FS: image})
	if err != nil {
		return err
	}
	return r.judge(report, st, disk.tables)
}

func (r *run) level() engine.CheckLevel {
	if r.rng.IntN(4) == 0 {
		return engine.CheckDeep
	}
	return engine.CheckQuick
}

// examineClosed examines a disk of which there is no copy: the store is closed
// for it.
func (r *run) examineClosed(atRest bool) error {
	if err := r.letAllGo(); err != nil {
		return err
	}
	if err := r.store.Settle(); err != nil {
		return err
	}
	st := r.store.Stats()
	if err := r.close(); err != nil {
		return err
	}
	report, err := engine.Check(r.dir, engine.CheckOptions{Level: r.level(), FS: r.unlinks})
	if err != nil {
		return err
	}
	if err := r.judge(report, st, st.Files); err != nil {
		return err
	}
	if err := errors.Join(r.compareRecords(r.unlinks, atRest), r.noteRecords(r.unlinks)); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	r.counts.Add("reopens", 1)
	return r.reattach()
}

// judge compares what an examination found with what the store says.
func (r *run) judge(report *engine.CheckReport, st engine.Stats, tables int) error {
	r.counts.Add("disks examined", 1)
	switch {
	case len(report.Problems)+len(report.Missing) > 0:
		return fmt.Errorf("check: problems %v, missing %v", report.Problems, report.Missing)
	case report.Forks != st.Forks || report.Snapshots != st.Snapshots:
		return fmt.Errorf("check: %d forks and %d snapshots, the store counts %d and %d", report.Forks, report.Snapshots, st.Forks, st.Snapshots)
	case report.TableBytes != st.TableBytes:
		return fmt.Errorf("check: tables have %d bytes, the store counts %d", report.TableBytes, st.TableBytes)
	case report.Files+len(report.Leaked) != tables:
		return fmt.Errorf("check: %d table files are reached and %d are not, of %d on disk", report.Files, len(report.Leaked), tables)
	}
	if len(r.held) > 0 { // they may keep what nothing else needs
		r.counts.Add("disks examined with iterators open", 1)
		r.counts.Add("files that only iterators keep", len(report.Leaked))
		return nil
	}
	if len(report.Leaked) > 0 {
		return fmt.Errorf("check: nothing reaches %v", report.Leaked)
	}
	return nil
}
