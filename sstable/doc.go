// Package sstable reads and writes sorted tables: immutable, checksummed sets of
// rows, each key at most once, that answer lookups and ordered walks.
//
// It also has what deletes without tombstones are made of: vectors of dead rows,
// readers that step over these, and remaps, which carry them through a merge.
//
// It is not a database: it knows no forks and no levels, and not whose vectors a
// reader should go by. It never syncs, names or unlinks a
// file; it writes to an io.Writer and reads byte ranges of files that others
// made durable. FORMAT.md has every byte.
//
// # Life of a lookup
//
//  1. Tables.Reader gives the Reader of a table. The first call reads footer,
//     properties, filter and index, checks their checksums and compares them
//     with the Meta of the manifest; later calls find the Reader in a map.
//  2. Reader.Get refuses keys outside the table's bounds, then asks the filter:
//     most keys that are not there end here, after one memory access.
//  3. The index finds the only block that can hold the key: a search over eight
//     bytes per block.
//  4. The block's slot in the table's slot array holds the block if it is
//     cached. If not, a descriptor is borrowed for one read, the checksum is
//     verified, the length is checked against the index, the bytes are
//     decompressed into memory for which large pages were asked, every offset
//     in them is validated, and the cache takes the block, throwing others out.
//  5. The row is found by a search over eight bytes per row. If rows of the table
//     are dead for the caller, the row's number is looked up among them, and a
//     dead row is not found. Its value is appended to the caller's buffer.
//
// # Files, in reading order
//
//	meta.go          what the manifest knows about a table; limits
//	part.go          how every part is stored: codec, checksum bound to its place
//	block.go         the rows of one block: layout, validation, search
//	blockbuilder.go  collects rows into a block
//	index.go         where the blocks lie and which keys they hold
//	filter.go        the set of keys, with a few false positives
//	properties.go    counts and bounds
//	footer.go        where the parts are; magic and version
//	writer.go        rows in, table out
//	vector.go        a set of dead rows
//	vectorformat.go  its stored form
//	vectorlayout.go  what a stored bitmap must look like
//	dead.go          dead rows in the form that readers step over
//	deadover.go      the same over what other readers use too
//	reader.go        open a table, find a row
//	load.go          get one block from cache or disk
//	iter.go          walk the live rows
//	ordinal.go       go to a row by its number
//	finder.go        find the numbers of many rows, within a budget
//	cache.go         which blocks stay in memory
//	descriptors.go   which files stay open
//	place.go         where a table lies, when it is moved
//	tables.go        which tables are open
//	kept.go          for how long they stay so
//	rows.go          every row once, without cache, filter or search
//	whole.go         every byte once, to be copied
//	verify.go        read everything and check it
//	verifyfile.go    the same for a file that nothing describes
//	dump.go          a table as text
//	ranked.go        a compact set that counts and picks its members
//	remapbuilder.go  which row became which, noted during a merge
//	remap.go         the same, to carry dead rows over
package sstable
