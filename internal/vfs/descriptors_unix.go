//go:build unix

package vfs

import (
	"math"
	"syscall"
)

// MaxDescriptors is how many descriptors this process may have open at a time.
func MaxDescriptors() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return int(min(uint64(limit.Cur), math.MaxInt))
}
