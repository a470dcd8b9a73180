// Package hugepages asks the operating system for large pages where caches lie. It is
// no allocator: memory stays the runtime's and the garbage collector's, and where the system
// has no such pages, or gives them to everybody, nothing changes.
//
// The life of one cached block:
//
//  1. The cache's owner allocates it as always, and before anything is written to it
//     calls Prefer.
//  2. Prefer finds the large pages that it lies in, and tells the system of those that
//     it has not heard of yet. The first touch of such a page then brings all of it; if
//     a part was touched before, the system puts it together when it comes by.
//  3. The runtime gives parts of a page back when the heap shrinks, as it does with any
//     other memory.
//
// Files in reading order: hugepages.go; advise_linux.go and advise_other.go are what the systems have.
package hugepages
