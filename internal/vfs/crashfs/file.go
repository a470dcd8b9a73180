package crashfs

import (
	"errors"
	"io"
	"os"
	"syscall"

	"github.com/tinedb/tine/internal/vfs"
)

// file is an open handle. It stays usable when its name is taken away. All of
// its state is guarded by the FS's lock.
type file struct {
	fs       *FS
	name     string // as given by the caller, for errors
	node     *inode
	readOnly bool
	closed   bool
	mapped   int64 // through which offset writes may be stores into shared memory
}

var _ vfs.File = (*file)(nil)

func (f *FS) handleLocked(name string, node *inode, readOnly bool) *file {
	f.open++
	return &file{fs: f, name: name, node: node, readOnly: readOnly}
}

// usableLocked tells why a call on the handle fails at once.
func (h *file) usableLocked(op string, write bool) error {
	if h.closed {
		return failed(op, h.name, os.ErrClosed)
	}
	if write && h.readOnly {
		return failed(op, h.name, syscall.EBADF)
	}
	return nil
}

// ReadAt reads like os.File: fewer bytes than asked for come with io.EOF.
func (h *file) ReadAt(p []byte, off int64) (int, error) {
	if err := h.fs.enter("read", h.name); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("read", false); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, failed("read", h.name, errors.New("negative offset"))
	}
	n := h.node.read(p, off)
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes, volatile until Sync. If the process dies at this call, a
// prefix may be written all the same, or of what is stored into shared memory any part;
// if the disk is full, what fits is.
func (h *file) WriteAt(p []byte, off int64) (int, error) {
	if err := h.fs.enter("write", h.name); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	diesHere := h.fs.strikeLocked()
	if h.fs.dead && !diesHere {
		return 0, failed("write", h.name, ErrKilled)
	}
	if err := h.usableLocked("write", true); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, failed("write", h.name, errors.New("negative offset"))
	}
	var err error
	if diesHere {
		var from int
		from, p = h.fs.tornLocked(p, off+int64(len(p)) <= h.mapped)
		off, err = off+int64(from), ErrKilled
	}
	if fits := h.fs.fitsLocked(h.node); off+int64(len(p)) > fits {
		p = p[:min(max(fits-off, 0), int64(len(p)))]
		if err == nil {
			err = syscall.ENOSPC
		}
	}
	h.fs.resizeLocked(h.node, func() { h.node.write(p, off) })
	if err != nil {
		return len(p), failed("write", h.name, err)
	}
	return len(p), nil
}

// Sync makes the data and the length durable, but not the name.
func (h *file) Sync() error {
	if err := h.fs.enterMutation("sync", h.name); err != nil {
		return err
	}
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("sync", false); err != nil {
		return err
	}
	h.node.sync()
	return nil
}

// Preallocate extends the file with zeros and never shrinks it. The zeros are
// reserved, not written: after a power loss they are there or the file is
// shorter, but they are never garbage.
func (h *file) Preallocate(size int64) error {
	if err := h.fs.enterMutation("preallocate", h.name); err != nil {
		return err
	}
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("preallocate", true); err != nil {
		return err
	}
	if size < 0 {
		return failed("preallocate", h.name, syscall.EINVAL)
	}
	if size > h.fs.fitsLocked(h.node) {
		return failed("preallocate", h.name, syscall.ENOSPC)
	}
	h.fs.resizeLocked(h.node, func() { h.node.grow(size) })
	return nil
}

// Map lets later writes inside the first size bytes be torn as stores are.
func (h *file) Map(size int64) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	h.mapped = size
}

// Size gives the length in bytes.
func (h *file) Size() (int64, error) {
	if err := h.fs.enter("stat", h.name); err != nil {
		return 0, err
	}
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("stat", false); err != nil {
		return 0, err
	}
	return h.node.size, nil
}

// Close gives the handle back; it makes nothing durable. The handle counts as
// closed also if the process is dead.
func (h *file) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if err := h.usableLocked("close", false); err != nil {
		return err
	}
	h.closed = true
	h.fs.open--
	if h.fs.dead {
		return failed("close", h.name, ErrKilled)
	}
	return nil
}

// FailSync is what a Sync that returns an error does to the data: it is taken
// for written, so the next Sync succeeds, and after a power loss each sector has the
// old bytes, the new ones or some of them. The fault injecting file system calls it.
func (h *file) FailSync() {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if !h.fs.dead && !h.closed {
		h.node.failSync()
	}
}

// fitsLocked gives the largest length that the file may have on the disk.
func (f *FS) fitsLocked(n *inode) int64 {
	if f.capacity == 0 || !n.named {
		return 1<<63 - 1
	}
	return n.size + max(f.capacity-f.used, 0)
}

// resizeLocked does what may change a file's length and accounts for it.
func (f *FS) resizeLocked(n *inode, change func()) {
	before := n.size
	change()
	if n.named {
		f.used += n.size - before
	}
}

// tornLocked gives the bytes that reach the file of a write at which the process dies,
// and where they begin: often none or all, else the first ones, any number. A store
// reaches memory in whatever order the processor copies in: then it is any stretch.
func (f *FS) tornLocked(p []byte, stored bool) (from int, reached []byte) {
	if f.seed == 0 {
		return 0, nil
	}
	// SplitMix64, so that neighbouring kill points are cut differently.
	z := f.seed + uint64(f.mutations)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	z ^= z >> 31
	switch z % 8 {
	case 0:
		return 0, nil
	case 1:
		return 0, p
	}
	n := int(z / 8 % uint64(len(p)+1))
	if stored {
		from = int(z >> 40 % uint64(len(p)-n+1))
	}
	return from, p[from : from+n]
}
