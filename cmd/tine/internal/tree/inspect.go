package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// ErrRefused says that some keys cannot be written out as files. Nothing has been
// written then.
var ErrRefused = errors.New("refused")

// A RefusedError lists the keys that cannot be written out, and why.
type RefusedError struct {
	Keys []string // quoted, with the reason
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%d keys cannot be written as files, so nothing was written: %s; delete them or choose others with --prefix", len(e.Keys), shorten(e.Keys))
}

// Is makes errors.Is(err, ErrRefused) hold.
func (e *RefusedError) Is(target error) bool { return target == ErrRefused }

// inspect reads everything that Export is about to write and refuses what would
// be unsafe, ambiguous or incomplete: paths that leave the directory, values that
// are no files, files that are also directories, chunks that are missing or
// belong to nothing. It costs one scan.
func inspect(ctx context.Context, it Rows, prefix []byte) (items int, size int64, err error) {
	in := inspector{leaves: map[string]bool{}}
	for it.First(); it.Valid(); it.Next() {
		if err := ctx.Err(); err != nil {
			return 0, 0, err
		}
		in.key(it.Key()[len(prefix):], it.Value())
	}
	if err := it.Error(); err != nil {
		return 0, 0, err
	}
	in.endFile()
	if len(in.refused) > 0 {
		return 0, 0, &RefusedError{Keys: in.refused}
	}
	return in.items, in.size, nil
}

type inspector struct {
	items   int
	size    int64
	refused []string
	// leaves are the paths of files and links: nothing may lie below them.
	leaves map[string]bool

	// The chunked file whose chunks are being met, if any.
	open   []byte
	chunks uint32
	met    uint32
}

func (in *inspector) refuse(path []byte, format string, args ...any) {
	in.refused = append(in.refused, fmt.Sprintf("%q (%s)", path, fmt.Sprintf(format, args...)))
}

func (in *inspector) key(rel, value []byte) {
	path, n, isChunk, ok := splitChunk(rel)
	if isChunk {
		in.chunk(rel, path, n, ok)
		return
	}
	in.endFile()
	if err := checkPath(path); err != nil {
		in.refuse(path, "%v", err)
		return
	}
	e, _, err := Parse(value)
	if err != nil {
		in.refuse(path, "%v", err)
		return
	}
	for i := range path {
		if path[i] == '/' && in.leaves[string(path[:i])] {
			in.refuse(path, "%q is a file or a link", path[:i])
			return
		}
	}
	in.items++
	in.size += int64(e.Size)
	if e.Kind != Dir {
		in.leaves[string(path)] = true
	}
	if e.Chunks > 0 {
		in.open, in.chunks, in.met = bytes.Clone(path), e.Chunks, 0
	}
}

func (in *inspector) chunk(rel, path []byte, n uint32, ok bool) {
	switch {
	case !ok:
		in.refuse(rel, "the key has a zero byte")
	case in.open == nil || !bytes.Equal(in.open, path):
		in.endFile()
		in.refuse(rel, "a piece of a file that is not there; was an import interrupted? import again to finish it")
	case n != in.met:
		in.refuse(rel, "piece %d of the file follows piece %d", n, int64(in.met)-1)
		in.open = nil
	default:
		in.met++
	}
}

func (in *inspector) endFile() {
	if in.open != nil && in.met != in.chunks {
		in.refuse(in.open, "incomplete: %d of %d pieces", in.met, in.chunks)
	}
	in.open = nil
}
