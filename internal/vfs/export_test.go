package vfs

// ExtendWithZeros is Preallocate where the file system cannot reserve.
func ExtendWithZeros(f File, size int64) error { return f.(*osFile).extendWithZeros(size) }
