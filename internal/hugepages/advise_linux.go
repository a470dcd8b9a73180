package hugepages

import "syscall"

// adviceHugePage is MADV_HUGEPAGE, which the syscall package does not name.
const adviceHugePage = 14

// advise is false if the kernel has no large pages. That a part of the range is not in
// use is no failure: the runtime's heap owns it as address space, since it grows by pieces
// of 64 MiB.
func advise(at, bytes uintptr) bool {
	_, _, errno := syscall.Syscall(syscall.SYS_MADVISE, at, bytes, adviceHugePage)
	return errno != syscall.EINVAL
}
