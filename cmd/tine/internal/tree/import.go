package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// batchBytes is about how much one batch of an import holds. Larger ones buy
// little speed and cost memory and a longer step back after a crash.
const batchBytes = 4 << 20

// ImportOptions says what Import does. The zero value imports everything to keys
// without a prefix.
type ImportOptions struct {
	Prefix      string // put before every path
	Checksum    bool   // compare contents even where mode, size and time are the same
	Delete      bool   // remove keys under the prefix that are not in the directory
	SkipSpecial bool   // leave out sockets, pipes and devices instead of refusing
	DryRun      bool   // count only

	// Started is told how many items and bytes there are, Progress what is done.
	Started  func(items int, bytes int64)
	Progress func(items int, bytes int64)
	// OnPut sees every key and value that is written. Both are valid until it
	// returns.
	OnPut func(key, value []byte)
}

// ImportReport says what Import has done.
type ImportReport struct {
	Files       int      `json:"files"`
	Symlinks    int      `json:"symlinks"`
	Directories int      `json:"directories"`
	Bytes       int64    `json:"bytes"`   // of content written
	Already     int      `json:"already"` // found there and left alone
	Deleted     int      `json:"deleted"`
	Skipped     []string `json:"skipped,omitempty"`
}

func (r *ImportReport) count(kind Kind) {
	switch kind {
	case File:
		r.Files++
	case Symlink:
		r.Symlinks++
	case Dir:
		r.Directories++
	}
}

// Import stores what is below dir in a fork. What the directory holds and cannot be
// stored is refused before anything is written. On any error, a cancelled context
// too, everything acknowledged so far is synced and stays: starting again goes on.
func Import(ctx context.Context, to Target, dir string, opts ImportOptions) (ImportReport, error) {
	items, special, err := walk(dir)
	if err != nil {
		return ImportReport{}, err
	}
	if len(special) > 0 && !opts.SkipSpecial {
		return ImportReport{}, &SpecialError{Paths: special}
	}
	var total int64
	for i := range items {
		if err := checkKeyLen(opts.Prefix, items[i].path); err != nil {
			return ImportReport{}, fmt.Errorf("%s: %w", quotePath(items[i].path), err)
		}
		total += items[i].size
	}
	if opts.Started != nil {
		opts.Started(len(items), total)
	}
	it, err := to.Rows(PrefixRange([]byte(opts.Prefix)))
	if err != nil {
		return ImportReport{}, err
	}
	im := &importer{
		ctx: ctx, dir: dir, opts: opts, it: it,
		batch: to.NewBatch(), most: to.BatchBytes(), buf: make([]byte, InlineBytes),
		report: ImportReport{Skipped: special},
	}
	err = im.run(items)
	err = errors.Join(err, it.Close())
	if !opts.DryRun {
		err = errors.Join(err, to.Sync())
	}
	return im.report, err
}

// importer is one run of Import. It is used by one goroutine.
type importer struct {
	ctx    context.Context
	dir    string
	opts   ImportOptions
	it     Rows // over the prefix, as it was when the import began
	batch  Batch
	most   int    // bytes of a batch
	buf    []byte // one piece of content
	value  []byte // one value
	report ImportReport
}

func (im *importer) run(items []item) error {
	for i := range items {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		if err := im.item(&items[i]); err != nil {
			return fmt.Errorf("import %s: %w", quotePath(items[i].path), err)
		}
		if im.opts.Progress != nil {
			im.opts.Progress(1, items[i].size)
		}
	}
	if im.opts.Delete {
		if err := im.deleteOthers(items); err != nil {
			return fmt.Errorf("import: delete what is gone: %w", err)
		}
	}
	return im.flush()
}

func (im *importer) item(it *item) error {
	key := []byte(im.opts.Prefix + it.path)
	old, err := lookup(im.it, key)
	if err != nil {
		return err
	}
	if !it.keep {
		return im.remove(key, &old)
	}
	same, err := im.same(it, &old)
	if err != nil {
		return err
	}
	if same {
		im.report.Already++
		return nil
	}
	switch it.kind {
	case Dir:
		err = im.put(key, Entry{Kind: Dir, Mode: it.mode, ModTime: it.modTime}, nil)
	case Symlink:
		var target []byte
		if target, err = readLink(im.dir, it.path); err == nil {
			im.report.Bytes += int64(len(target))
			err = im.put(key, Entry{Kind: Symlink, Mode: it.mode, Size: uint64(len(target)), Hash: xxhash.Sum64(target)}, target)
		}
	case File:
		err = im.file(key, it, &old)
	}
	if err != nil {
		return err
	}
	im.report.count(it.kind)
	// A file's chunks beyond the new ones were dealt with by file.
	if it.kind != File {
		if err := im.removeChunks(key, old.chunks, 0); err != nil {
			return err
		}
	}
	if it.kind != Dir {
		return im.removeBelow(key)
	}
	return nil
}

// same tells whether the stored entry is what the directory holds. Content is
// read only if mode and size agree but the times do not, or if it was asked for.
func (im *importer) same(it *item, old *stored) (bool, error) {
	if !old.whole() || old.entry.Kind != it.kind || old.entry.Mode != it.mode {
		return false, nil
	}
	switch it.kind {
	case Dir:
		return true, nil
	case Symlink:
		target, err := readLink(im.dir, it.path)
		return err == nil && bytes.Equal(target, old.content), err
	}
	if old.entry.Size != uint64(it.size) {
		return false, nil
	}
	if old.entry.ModTime == it.modTime && !im.opts.Checksum {
		return true, nil
	}
	size, sum, err := hashFile(im.dir, it.path, im.buf)
	return err == nil && size == old.entry.Size && sum == old.entry.Hash, err
}

// file stores one file. A chunked one has its old header removed before the first
// chunk and its new one written after the last: the log keeps that order, so a
// header that is there vouches for its chunks.
func (im *importer) file(key []byte, it *item, old *stored) error {
	e := Entry{Kind: File, Mode: it.mode, ModTime: it.modTime}
	if it.size <= InlineBytes {
		var more bool
		err := eachChunk(im.dir, it.path, im.buf, func(n uint32, piece []byte) error {
			if n > 0 {
				more = true
				return nil
			}
			e.Size, e.Hash = uint64(len(piece)), xxhash.Sum64(piece)
			return nil
		})
		if err != nil {
			return err
		}
		if !more {
			if err := im.removeChunks(key, old.chunks, 0); err != nil {
				return err
			}
			im.report.Bytes += int64(e.Size)
			return im.put(key, e, im.buf[:e.Size])
		}
	}
	if old.key {
		if err := im.delete(key); err != nil {
			return err
		}
	}
	h := xxhash.New()
	err := eachChunk(im.dir, it.path, im.buf, func(n uint32, piece []byte) error {
		if err := im.ctx.Err(); err != nil {
			return err
		}
		e.Size += uint64(len(piece))
		e.Chunks = n + 1
		if _, err := h.Write(piece); err != nil {
			return err
		}
		return im.set(appendChunkKey(nil, key, n), piece)
	})
	if err != nil {
		return err
	}
	if uint64(e.Chunks) != chunksFor(e.Size) {
		return fmt.Errorf("the file shrank while it was read; import again")
	}
	if err := im.removeChunks(key, old.chunks, e.Chunks); err != nil {
		return err
	}
	e.Hash = h.Sum64()
	im.report.Bytes += int64(e.Size)
	return im.put(key, e, nil)
}

// remove takes away what is stored at key.
func (im *importer) remove(key []byte, old *stored) error {
	if old.key {
		if err := im.delete(key); err != nil {
			return err
		}
	}
	return im.removeChunks(key, old.chunks, 0)
}

// removeChunks takes away the chunks whose number is at least from.
func (im *importer) removeChunks(key []byte, chunks []uint32, from uint32) error {
	for _, n := range chunks {
		if n < from {
			continue
		}
		if err := im.delete(appendChunkKey(nil, key, n)); err != nil {
			return err
		}
	}
	return nil
}

// removeBelow takes away what was stored below a path that is a file now.
func (im *importer) removeBelow(key []byte) error {
	below := append(bytes.Clone(key), '/')
	for im.it.SeekGE(below); im.it.Valid() && bytes.HasPrefix(im.it.Key(), below); im.it.Next() {
		if err := im.delete(im.it.Key()); err != nil {
			return err
		}
	}
	return im.it.Error()
}

// deleteOthers removes the keys under the prefix whose path the directory does
// not have.
func (im *importer) deleteOthers(items []item) error {
	here := make(map[string]struct{}, len(items))
	for i := range items {
		here[items[i].path] = struct{}{}
	}
	for im.it.First(); im.it.Valid(); im.it.Next() {
		path, _, isChunk, _ := splitChunk(im.it.Key()[len(im.opts.Prefix):])
		if _, ok := here[string(path)]; ok {
			continue
		}
		if !isChunk {
			im.report.Deleted++
		}
		if err := im.delete(im.it.Key()); err != nil {
			return err
		}
	}
	return im.it.Error()
}

func (im *importer) put(key []byte, e Entry, content []byte) error {
	im.value = e.Append(im.value[:0], content)
	return im.set(key, im.value)
}

func (im *importer) set(key, value []byte) error {
	if err := im.room(len(key) + len(value)); err != nil {
		return err
	}
	im.batch.Set(key, value)
	if im.opts.OnPut != nil {
		im.opts.OnPut(key, value)
	}
	return nil
}

func (im *importer) delete(key []byte) error {
	if err := im.room(len(key)); err != nil {
		return err
	}
	im.batch.Delete(key)
	return nil
}

// room sends the batch off if n more bytes would make it too large.
func (im *importer) room(n int) error {
	if im.batch.Len() > 0 && im.batch.Bytes()+n > im.most {
		return im.flush()
	}
	return nil
}

func (im *importer) flush() error {
	defer im.batch.Reset()
	if im.opts.DryRun || im.batch.Len() == 0 {
		return nil
	}
	return im.batch.Commit()
}

// Contains tells whether inner lies in dir or is it, links resolved as far as the
// paths exist.
func Contains(dir, inner string) bool {
	rel, err := filepath.Rel(resolve(dir), resolve(inner))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// resolve makes a path absolute and follows the links in that part of it that
// exists.
func resolve(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		name = abs
	}
	rest := ""
	for at := name; ; at = filepath.Dir(at) {
		if real, err := filepath.EvalSymlinks(at); err == nil {
			return filepath.Join(real, rest)
		}
		if at == filepath.Dir(at) {
			return name
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

func quotePath(path string) string { return fmt.Sprintf("%q", path) }
