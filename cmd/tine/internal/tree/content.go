package tree

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"
)

// readLink gives a link's target.
func readLink(dir, path string) ([]byte, error) {
	target, err := os.Readlink(filepath.Join(dir, filepath.FromSlash(path)))
	return []byte(target), err
}

// eachChunk reads the file in pieces of at most InlineBytes and hands them to fn
// with their number. A file that fits gives one piece, an empty one an empty
// piece. The piece is valid until fn returns.
func eachChunk(dir, path string, buf []byte, fn func(n uint32, piece []byte) error) error {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	defer f.Close()
	for n := uint32(0); ; n++ {
		got, err := io.ReadFull(f, buf[:InlineBytes])
		last := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !last {
			return err
		}
		if got > 0 || n == 0 {
			if err := fn(n, buf[:got]); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
		if n == maxChunks {
			return fmt.Errorf("longer than %d chunks of %d bytes", maxChunks, InlineBytes)
		}
	}
}

// hashFile gives size and XXH64 of a file's content.
func hashFile(dir, path string, buf []byte) (size, sum uint64, err error) {
	h := xxhash.New()
	err = eachChunk(dir, path, buf, func(_ uint32, piece []byte) error {
		size += uint64(len(piece))
		_, err := h.Write(piece)
		return err
	})
	return size, h.Sum64(), err
}
