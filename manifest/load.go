package manifest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
)

// ErrNoStore says that a directory holds no store: there is no CURRENT.
var ErrNoStore = errors.New("no store in this directory")

// Info is what Load found besides the state.
type Info struct {
	File         ids.FileNum
	Name         string // of the manifest, in the store's directory
	Bytes        int64  // accepted, from the file's begin
	BaseBytes    int64  // of those, the header and the base
	Transactions int    // accepted, those in the base included
	Forgotten    int    // vectors left out because their node or table is not there
	TornOffset   int64  // where a torn tail was cut, -1: none

	// Proven says that every accepted transaction is durable for certain: a frame
	// that was written after the sync says so, or it is in the base. Without it
	// some may be known to the operating system only, and none of them proves that
	// what it drops may go.
	Proven bool
}

// Load reads CURRENT and the manifest that it names, and changes nothing. A
// torn tail is cut, in memory only, and vectors whose node or table is not there
// are left out. Damage, and a state that Check refuses, give a CorruptError; a file
// in a newer format wraps errs.ErrNewerFormat, one in an older format
// errs.ErrOldFormat; a directory without a store gives ErrNoStore.
//
// What Load found need not be durable: if only the process died, it reads bytes
// that a power loss may still take. So nothing may be unlinked or trimmed
// because of this state before Create has made it durable. Memory: the state, and a buffer
// of a few hundred KiB or the longest frame.
func Load(fsys vfs.FS, dir string) (*State, Info, error) {
	state := NewState()
	h, info, err := scan(fsys, dir, func(_ int64, _ frame, t *Transaction) error {
		if t == nil {
			return nil
		}
		if err := state.admits(t); err != nil {
			return err
		}
		state.apply(t)
		return nil
	})
	if err != nil {
		return nil, info, fmt.Errorf("manifest: load: %w", err)
	}
	state.StoreID = h.store
	if err := state.Check(); err != nil {
		return nil, info, fmt.Errorf("manifest: load: %w", &errs.CorruptError{File: info.Name, Offset: -1, Err: err})
	}
	info.Forgotten = state.forgetMarks()
	return state, info, nil
}

// scan opens the manifest that CURRENT names and calls visit for each accepted
// frame in file order, with its transaction if it carries one. An error of visit
// says what is wrong with the frame. Info is filled in as far as the file was
// accepted, also beside an error.
func scan(fsys vfs.FS, dir string, visit func(offset int64, f frame, t *Transaction) error) (header, Info, error) {
	info := Info{TornOffset: -1}
	c, err := readCurrent(fsys, dir)
	if err != nil {
		return header{}, info, err
	}
	info.File, info.Name = c.number, ids.ManifestName(c.number)
	file, err := fsys.Open(path.Join(dir, info.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return header{}, info, errs.Corruptf(info.Name, -1, "named by %s, but missing", ids.CurrentName)
	}
	if err != nil {
		return header{}, info, fmt.Errorf("open %s: %w", info.Name, err)
	}
	defer file.Close()
	w, err := newWindow(file)
	if err != nil {
		return header{}, info, fmt.Errorf("size of %s: %w", info.Name, err)
	}
	s := scanner{window: w, info: &info}
	h, err := s.header(c)
	if err == nil {
		err = s.frames(h, visit)
	}
	info.Proven = err == nil && s.end <= max(s.durable, info.BaseBytes)
	return h, info, err
}

// scanner walks the frames of one manifest. Invariant: all frames before
// info.Bytes are accepted, the last of them has the checksum chain.
type scanner struct {
	window *window
	info   *Info
	chain  uint64

	position Position // of the last accepted transaction
	part     filePart
	end      int64 // where the last transaction behind the base ends
	durable  int64 // the highest claim of an accepted frame
}

// filePart is where in the file a scanner is; it only moves on.
type filePart int

const (
	partSlices           filePart = iota // the copied objects
	partBaseTransactions                 // what happened while they were copied
	partTail                             // behind the base: what may be torn
)

func (s *scanner) header(c current) (header, error) {
	b, err := s.window.bytes(0, int(min(headerBytes, s.window.size)))
	if err != nil {
		return header{}, s.ioError(0, err)
	}
	h, checksum, err := decodeHeader(b, c.number)
	if err != nil {
		return header{}, err
	}
	if h.store != c.store {
		return header{}, errs.Corruptf(s.info.Name, headerStoreAt, "belongs to store %x, %s to store %x", h.store, ids.CurrentName, c.store)
	}
	s.chain, s.position = checksum, h.base
	s.info.Bytes, s.info.BaseBytes = headerBytes, headerBytes
	return h, nil
}

// frames accepts frames until the file ends or one is bad. Inside the base any
// bad frame is damage: the base was synced before CURRENT named the file.
func (s *scanner) frames(h header, visit func(offset int64, f frame, t *Transaction) error) error {
	for s.info.Bytes < s.window.size {
		offset := s.info.Bytes
		f, next, err := readFrame(s.window, h.number, offset)
		switch {
		case isBadFrame(err) && s.part != partTail:
			return &errs.CorruptError{File: s.info.Name, Offset: offset, Err: err}
		case isBadFrame(err):
			return s.tail(h, offset, err)
		case err != nil:
			return s.ioError(offset, err)
		}
		if err := s.accept(offset, f); err != nil {
			return &errs.CorruptError{File: s.info.Name, Offset: offset, Err: err}
		}
		var t *Transaction
		if f.kind == frameSlice || f.kind == frameTransaction {
			t, err = decodeTransaction(f.payload)
			switch {
			case errors.Is(err, errs.ErrNewerFormat): // a vector's, whole
				return fmt.Errorf("%s at offset %d: %w", s.info.Name, offset, err)
			case err != nil:
				return errs.Corruptf(s.info.Name, offset, "%w", err)
			}
		}
		if err := visit(offset, f, t); err != nil {
			return &errs.CorruptError{File: s.info.Name, Offset: offset, Err: err}
		}
		s.chain, s.info.Bytes = f.checksum, next
		s.durable = max(s.durable, f.durable)
		if f.kind == frameTransaction {
			s.position, s.end = f.position, next
			s.info.Transactions++
		}
		if s.part != partTail || f.kind == frameBase {
			s.info.BaseBytes = next
		}
	}
	if s.part != partTail {
		return errs.Corruptf(s.info.Name, s.info.Bytes, "file ends inside the base")
	}
	return nil
}

// accept tells whether a whole frame stands where it belongs. No write is ever
// repeated at the same offset, so a frame with a good checksum and a wrong
// place in the sequence is damage, not a torn tail.
func (s *scanner) accept(offset int64, f frame) error {
	if f.chain != s.chain {
		return errors.New("frame does not follow the one before it")
	}
	if f.durable < 0 || f.durable > offset {
		return fmt.Errorf("frame claims that the file was synced through %d", f.durable)
	}
	want, part := s.position, s.part
	allowed := false
	switch f.kind {
	case frameSlice:
		allowed = s.part == partSlices
	case frameTransaction:
		want, allowed = s.position+1, true
		part = max(s.part, partBaseTransactions)
	case frameBase:
		allowed = s.part != partTail && len(f.payload) == 0
		part = partTail
	case frameMark:
		allowed = s.part == partTail && len(f.payload) == 0
	}
	if !allowed {
		return fmt.Errorf("frame of kind %s is out of place", f.kind)
	}
	if f.position != want {
		return fmt.Errorf("frame has position %d instead of %d", f.position, want)
	}
	s.part = part
	return nil
}

// tail decides what a bad frame behind the base means. A group of frames is
// written with one call after the group before it was synced, and each frame
// says through where the file was synced when it was written. So a good frame
// further on that claims the bad bytes as synced proves damage; without one the
// bad bytes may never have been promised, and are a torn tail.
func (s *scanner) tail(h header, bad int64, cause error) error {
	zero, err := s.window.zero(bad)
	if err != nil {
		return s.ioError(bad, err)
	}
	if zero {
		s.window.size = bad // space that was held ready: the file ends here
		return nil
	}
	// Hostile bytes could make every offset look like a long frame. Hashing is
	// limited to a few times the tail; beyond that the file is called damaged.
	budgetBytes := 8*(s.window.size-bad) + windowBytes
	for offset := bad + frameAlign; s.window.size-offset >= frameHeaderBytes; offset += frameAlign {
		f, _, err := readFrame(s.window, h.number, offset)
		switch {
		case err == nil && f.durable > bad:
			return errs.Corruptf(s.info.Name, bad, "%w, yet the frame at %d was written after these bytes were synced", cause, offset)
		case err != nil && !isBadFrame(err):
			return s.ioError(offset, err)
		case err == nil:
			budgetBytes -= int64(frameBytes(len(f.payload)))
		case errors.Is(err, errFrameChecksum):
			head, err := s.window.bytes(offset, frameHeaderBytes)
			if err != nil {
				return s.ioError(offset, err)
			}
			budgetBytes -= int64(frameBytes(int(binary.LittleEndian.Uint32(head[frameLengthAt:]))))
		}
		if budgetBytes < 0 {
			return errs.Corruptf(s.info.Name, bad, "%w, and too many candidates follow it to tell a torn tail from damage", cause)
		}
	}
	s.info.TornOffset = bad
	s.window.size = bad // nothing behind it is read again
	return nil
}

func (s *scanner) ioError(offset int64, err error) error {
	return fmt.Errorf("read %s at %d: %w", s.info.Name, offset, err)
}
