//go:build linux || darwin || freebsd

package node

import "syscall"

// freeBytes is how much an ordinary process can still write on the disk of dir.
func freeBytes(dir string) (uint64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), nil
}
