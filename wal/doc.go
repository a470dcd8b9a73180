// Package wal is the store's one write-ahead log: an order of records over all
// forks, group commit, and a replay that gives back exactly one prefix of that
// order.
//
// It is not the commit protocol: which record gets which LSN, when a record may
// be trimmed and what a record does to the fork tree is the engine's business.
// It keeps no index and reads nothing while it is open for appending.
//
// # The life of one commit
//
//  1. Reserve promises room for the record. If a new segment is needed for
//     that, it is created and preallocated here, so a full disk is met before
//     anything has happened.
//  2. Append, in the critical section in which the engine gives out the LSN,
//     copies the record into the pending group. No I/O, no waiting.
//  3. Write or Sync: the first to come takes the pending group, gives every
//     frame its place and checksum, and hands all of it to the operating system
//     in one write; everybody else waits. For Sync the same goroutine then
//     fsyncs, and records appended meanwhile form the next group.
//  4. The next write begins a new sector with a sync mark, which says how far
//     the fsync reached. If none comes, the idle log writes the mark.
//  5. When a record does not fit, the segment is fsynced, a spare one gets a
//     header that names its end, and only when that is durable the record
//     follows there.
//
// # The life of one recovery
//
//  1. Replay links the segments by their headers, checks that none is missing,
//     and hands out every record. The last segment may end in an interrupted
//     write; everything else that is not as it was written is an error.
//  2. Start copies what no mark vouches for into a fresh segment and seals the
//     old one before it. What a mark vouches for was durable before the mark.
//
// # What tells a torn tail from damage
//
// Behind the last valid frame of the log may lie the remains of a write that a
// crash interrupted, or damage to bytes that an acknowledged commit relies on.
// A sync mark is written only after the fsync it reports. So a mark anywhere
// behind a bad offset that claims more than that offset proves damage, and
// without one the tail is torn. Bytes that were fsynced and that no mark
// vouches for yet are the gap in this rule: the last group of a log that was
// cut off before it was idle for MarkDelay.
//
// # Reading order
//
//	FORMAT.md      every byte
//	record.go      kinds of record
//	payload.go     fields of payloads; batch.go, forkrecord.go, manyrecord.go: each kind's
//	frame.go       a record or mark in a segment
//	header.go      the first sector of a segment
//	image.go       a segment in memory, frame by frame
//	evidence.go    the search for a mark behind a bad offset
//	chain.go       which segments make up the log
//	replay.go      Replay and Recovered
//	verify.go      the same for a check, which goes on behind a fault
//	log.go         Log and Append; extent.go: how long it is
//	commit.go      Write, Sync, rotation
//	ahead.go       zeros ahead of small groups that are fsynced
//	segment.go     a segment that is being written
//	room.go        the account of promised space; reserve.go: Reserve
//	start.go, close.go, trim.go
//	keeper.go      idle marks, spares and fsyncs ahead of a rotation
//	errors.go      poison
//	dump.go        the log as text
package wal
