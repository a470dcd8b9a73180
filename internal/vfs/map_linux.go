package vfs

import (
	"os"
	"syscall"
)

// mapShared maps the first size bytes of f. Linux keeps one copy of a file's pages for
// maps and calls alike, and its fdatasync writes what was stored through a map. Where a
// file system cannot do that it refuses the map.
func mapShared(f *os.File, size int) ([]byte, error) {
	var b []byte
	err := control(f, "mmap", func(fd int) (err error) {
		b, err = syscall.Mmap(fd, 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
		return err
	})
	if err != nil {
		return nil, err
	}
	// Without it the first store reads megabytes ahead: 2 to 3 ms of zeros. Refused, it
	// is no more than that.
	_ = syscall.Madvise(b, syscall.MADV_RANDOM)
	return b, nil
}

// madvPopulateWrite is MADV_POPULATE_WRITE, which the syscall package does not name. Linux
// has it from 5.14 on.
const madvPopulateWrite = 23

// populate brings the pages of b, which begins at one, as a store to each would.
func populate(b []byte) error { return syscall.Madvise(b, madvPopulateWrite) }

// unmap gives b back, which cannot fail: it is what mapShared gave.
func unmap(b []byte) {
	if b != nil {
		_ = syscall.Munmap(b)
	}
}
