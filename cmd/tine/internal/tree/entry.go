package tree

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cespare/xxhash/v2"
)

// InlineBytes is the largest content that stands in the entry itself; longer
// files are cut into chunks of this length: a chunk fits into one message of a node.
const InlineBytes = 2 << 20

// Kind is what an entry stands for.
type Kind uint8

// The kinds of entries.
const (
	File    Kind = 1
	Symlink Kind = 2
	Dir     Kind = 3
)

func (k Kind) String() string {
	switch k {
	case File:
		return "file"
	case Symlink:
		return "symlink"
	case Dir:
		return "directory"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Entry is the envelope's header: everything about a file but its name and its
// bytes. It is a plain value.
type Entry struct {
	Kind    Kind
	Mode    uint16 // Unix permission bits, with setuid 04000, setgid 02000, sticky 01000
	ModTime int64  // Unix nanoseconds; 0 for links
	Size    uint64 // bytes of content; of a link's target for a link
	Hash    uint64 // XXH64 of the content
	Chunks  uint32 // 0: the content follows the header; n: it lies in n chunks
}

// The envelope's layout; TREE.md is the byte table.
const (
	entryMagic   = "TREE"
	entryVersion = 2

	offVersion = 4
	offKind    = 5
	offMode    = 6
	offModTime = 8
	offSize    = 16
	offHash    = 24
	offChunks  = 32
	offSum     = 36
	headerLen  = 44
)

// maxChunks keeps a damaged or hostile header from promising a file that no
// store could hold: 2^20 chunks are 8 TiB.
const maxChunks = 1 << 20

// ErrNotEntry says that a value was not written by Import.
var ErrNotEntry = errors.New("not a stored file")

// Append appends the envelope of content to dst. For a chunked entry content is
// empty.
func (e Entry) Append(dst, content []byte) []byte {
	start := len(dst)
	dst = append(dst, entryMagic...)
	dst = append(dst, entryVersion, byte(e.Kind))
	dst = binary.LittleEndian.AppendUint16(dst, e.Mode)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(e.ModTime))
	dst = binary.LittleEndian.AppendUint64(dst, e.Size)
	dst = binary.LittleEndian.AppendUint64(dst, e.Hash)
	dst = binary.LittleEndian.AppendUint32(dst, e.Chunks)
	dst = binary.LittleEndian.AppendUint64(dst, xxhash.Sum64(dst[start:]))
	return append(dst, content...)
}

// Parse takes an envelope apart. The content aliases value and is empty for a
// chunked entry. Its hash is not compared: that is Verify's job, and costs a
// pass over the bytes. Every error matches ErrNotEntry.
func Parse(value []byte) (Entry, []byte, error) {
	if len(value) < headerLen || string(value[:len(entryMagic)]) != entryMagic {
		return Entry{}, nil, fmt.Errorf("%w: the value does not begin like one", ErrNotEntry)
	}
	if v := value[offVersion]; v != entryVersion {
		return Entry{}, nil, fmt.Errorf("%w that this version knows: envelope version %d, known is %d", ErrNotEntry, v, entryVersion)
	}
	if binary.LittleEndian.Uint64(value[offSum:]) != xxhash.Sum64(value[:offSum]) {
		return Entry{}, nil, fmt.Errorf("%w: the header's checksum is wrong", ErrNotEntry)
	}
	e := Entry{
		Kind:    Kind(value[offKind]),
		Mode:    binary.LittleEndian.Uint16(value[offMode:]),
		ModTime: int64(binary.LittleEndian.Uint64(value[offModTime:])),
		Size:    binary.LittleEndian.Uint64(value[offSize:]),
		Hash:    binary.LittleEndian.Uint64(value[offHash:]),
		Chunks:  binary.LittleEndian.Uint32(value[offChunks:]),
	}
	content := value[headerLen:]
	if err := e.validate(uint64(len(content))); err != nil {
		return Entry{}, nil, fmt.Errorf("%w: %w", ErrNotEntry, err)
	}
	return e, content, nil
}

func (e Entry) validate(contentBytes uint64) error {
	switch {
	case e.Kind != File && e.Kind != Symlink && e.Kind != Dir:
		return fmt.Errorf("unknown %v", e.Kind)
	case e.Mode > 0o7777:
		return fmt.Errorf("mode %#o", e.Mode)
	case e.Chunks == 0 && e.Size != contentBytes:
		return fmt.Errorf("size %d, but %d bytes of content", e.Size, contentBytes)
	case e.Chunks != 0 && contentBytes != 0:
		return fmt.Errorf("%d chunks and %d bytes of content", e.Chunks, contentBytes)
	case e.Chunks != 0 && (e.Kind != File || e.Chunks > maxChunks || uint64(e.Chunks) != chunksFor(e.Size)):
		return fmt.Errorf("%v of %d bytes in %d chunks", e.Kind, e.Size, e.Chunks)
	case e.Kind == Dir && e.Size != 0:
		return fmt.Errorf("directory with %d bytes of content", e.Size)
	}
	return nil
}

// chunksFor is the number of chunks that size bytes take.
func chunksFor(size uint64) uint64 {
	n := size / InlineBytes
	if size%InlineBytes != 0 {
		n++
	}
	return n
}

// Verify tells whether content is what was stored.
func (e Entry) Verify(content []byte) error {
	if sum := xxhash.Sum64(content); uint64(len(content)) != e.Size || sum != e.Hash {
		return fmt.Errorf("content of %d bytes with hash %016x, stored were %d with %016x", len(content), sum, e.Size, e.Hash)
	}
	return nil
}

// FileMode is the mode to give the file when it is written out: the permission
// bits. setuid, setgid and sticky are kept in the entry but not handed out again,
// as no archive should make a privileged program by itself.
func (e Entry) FileMode() fs.FileMode { return fs.FileMode(e.Mode & 0o777) }

// unixMode turns Go's mode into Unix bits.
func unixMode(m fs.FileMode) uint16 {
	bits := uint16(m.Perm())
	if m&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

// NewFile is the entry of an inline file; the demo writes its files with it.
func NewFile(mode uint16, modTime int64, content []byte) Entry {
	return Entry{Kind: File, Mode: mode, ModTime: modTime, Size: uint64(len(content)), Hash: xxhash.Sum64(content)}
}
