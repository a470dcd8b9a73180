//go:build !linux

package hugepages

func advise(at, bytes uintptr) bool { return false }
