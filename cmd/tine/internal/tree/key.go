package tree

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/tinedb/tine/engine"
)

// A chunk's key is the file's key, a zero byte and the chunk's number, big-endian
// so that chunks sort in order. No file name holds a zero byte, so a chunk cannot
// be taken for a file, and nothing sorts between a file and its chunks.
const chunkSuffixLen = 1 + 4

func appendChunkKey(dst, key []byte, n uint32) []byte {
	dst = append(dst, key...)
	dst = append(dst, 0)
	return binary.BigEndian.AppendUint32(dst, n)
}

// splitChunk takes a key without its prefix apart. ok is false for a key that has
// a zero byte but is no chunk's.
func splitChunk(rel []byte) (path []byte, n uint32, isChunk, ok bool) {
	i := bytes.IndexByte(rel, 0)
	if i < 0 {
		return rel, 0, false, true
	}
	if len(rel)-i != chunkSuffixLen {
		return rel[:i], 0, true, false
	}
	return rel[:i], binary.BigEndian.Uint32(rel[i+1:]), true, true
}

// checkPath tells whether a key without its prefix may be written out as a path
// below a directory.
func checkPath(path []byte) error {
	if len(path) == 0 {
		return fmt.Errorf("the path is empty")
	}
	if path[0] == '/' {
		return fmt.Errorf("the path is absolute")
	}
	for part := range bytes.SplitSeq(path, []byte("/")) {
		switch string(part) {
		case "":
			return fmt.Errorf("the path has an empty part")
		case ".", "..":
			return fmt.Errorf("the path has the part %q", part)
		}
	}
	return nil
}

// checkKeyLen leaves room for a chunk's number, so that a file that grows does
// not become impossible to store.
func checkKeyLen(prefix, path string) error {
	if n := len(prefix) + len(path) + chunkSuffixLen; n > engine.MaxKeyBytes {
		return fmt.Errorf("%w: its key would have %d bytes, at most %d are allowed", engine.ErrLimit, n, engine.MaxKeyBytes)
	}
	return nil
}

// PrefixRange is the range of all keys that begin with prefix.
func PrefixRange(prefix []byte) engine.Range {
	if len(prefix) == 0 {
		return engine.Range{}
	}
	upper := bytes.Clone(prefix)
	for len(upper) > 0 {
		last := len(upper) - 1
		if upper[last] < 0xff {
			upper[last]++
			return engine.Range{Lower: prefix, Upper: upper}
		}
		upper = upper[:last]
	}
	return engine.Range{Lower: prefix} // all 0xff: nothing is above it but the end
}
