package vfs

import (
	"os"
	"syscall"
)

// syncData is fdatasync: like fsync, but it leaves out times and modes, so that
// rewriting bytes inside a preallocated file costs no journal commit. A changed
// length is still made durable.
func syncData(f *os.File) error {
	return control(f, "fdatasync", syscall.Fdatasync)
}

// reserve is fallocate. Its error matches errors.ErrUnsupported where the file
// system has none.
func reserve(f *os.File, size int64) error {
	return control(f, "fallocate", func(fd int) error { return syscall.Fallocate(fd, 0, 0, size) })
}

// control runs call on the descriptor, which stays open meanwhile whoever
// closes f, again and again while a signal interrupts it.
func control(f *os.File, op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return &os.PathError{Op: op, Path: f.Name(), Err: err}
	}
	var callErr error
	err = conn.Control(func(fd uintptr) {
		for {
			callErr = call(int(fd))
			if callErr != syscall.EINTR {
				return
			}
		}
	})
	if err != nil {
		callErr = os.ErrClosed // the only way Control fails on a regular file
	}
	if callErr != nil {
		return &os.PathError{Op: op, Path: f.Name(), Err: callErr}
	}
	return nil
}
