// Package schedule names moments in the life of a store at which a test may make
// a goroutine wait. It is not a lock and not a trace: a store that nobody watches
// has a nil Schedule, and each point costs it one comparison.
//
// The life of one point:
//
//  1. The engine, the log or the manifest comes to a place where another
//     goroutine might get in between, and calls Reach.
//  2. Reach calls the function that the Schedule was made with, in that
//     goroutine, which goes on when the function returns.
//
// No point lies under Store.mu or under any lock that a reader or a writer takes
// for a moment only, and none on a path that is taken once a row. What a goroutine
// does own at a point, and so keeps from others while it waits there, is in the
// last column; "jobs" is the lock that Flush, Compact and, in a store with Manual,
// Settle hold.
//
//	point               after                                  before                              owned there
//	WriteReserved       room in the log is promised            LSN, memtable and place are taken
//	WritePlaced         rows are in the memtable               the log is asked to be durable
//	RecordReserved      room is promised, for anything else    the fork, drop, … happens
//	ForkPlaced          the fork is in the tree                it is durable
//	SnapshotPlaced      the snapshot is in the tree            it is durable
//	DropPlaced          fork or snapshot is out of the tree    that is durable
//	ResetPlaced         the fork has its new top               that is durable
//	RenamePlaced        fork or snapshot has its new name      that is durable
//	FreezePlaced        a flush has frozen a memtable          it looks at the next fork           a job
//	ViewBuilt           a view has pinned its runs             its first reader reads
//	IteratorOpening     an iterator has its view               it learns what LSN it may see
//	IteratorClosing     the inputs are closed                  its view is released
//	ViewUnpinning       the last reader is done                the runs are unpinned
//	SweepPicked         the cached views are listed            stale ones are forgotten            a job
//	FlushPicked         nodes in memory are claimed            the tables are written              a job, claims
//	FlushWritten        the tables are durable                 the swap                            a job, claims
//	FlushPlaced         swap and transaction have their place  the transaction is durable          a job
//	ConsolidatePicked   memtables are claimed                  they are merged                     a job, claims
//	ConsolidateMerged   one memtable holds all rows            the swap                            a job, claims
//	MergePicked         runs are claimed and pinned, or files  they are merged, or copied          a job, claims
//	                    with tables that shall lie elsewhere
//	MergeWritten        the tables are durable                 the swap                            a job, claims
//	MarksStaged         some vectors are carried over to the   others are, or the swap             a job, claims
//	                    new tables
//	MergePlaced         swap and transaction have their place  the transaction is durable          a job
//	MarksSwept          some vectors on tables that the swap   others are                          a job
//	                    took away are dropped
//	ReclaimSyncing      files without an owner are known       their transaction is durable        a job
//	ReclaimPicked       the files to unlink are taken          the first is unlinked               a job
//	ReclaimUnlinking    it is sure that nothing needs a file   it is unlinked                      a job
//	TrimPlaced          the transaction that allows a trim     it is durable                       a job
//	                    has its place
//	LogWriting          a group is taken                       it is written                       the log's writing
//	LogSyncing          a group is written                     the fsync                           the log's syncing
//	LogSynced           the fsync has ended                    anybody knows                       the log's syncing
//	LogRotating         a record did not fit                   its segment is sealed               the log's writing and syncing
//	LogTrimming         a segment may go                       it is unlinked                      the log's growing, a job
//	ManifestWriting     transactions are taken                 the log is waited for               the manifest's writing
//	ManifestSynced      they are fsynced                       anybody knows                       the manifest's writing
//	RewriteBegun        transactions are kept                  the objects are copied              a job, the rewrite
//	RewriteCopied       the objects are copied                 the kept transactions are written   a job, the rewrite
//	RewriteSwapping     the new manifest is durable            CURRENT is replaced                 a job, the rewrite, the manifest's writing
//	RewriteSwapped      CURRENT is replaced                    the log goes on in the new file     as before
//	MemoryTurn          the memory worker has a turn           it looks for work                   the worker
//	MergeTurn           the merge worker has a turn            it looks for work                   the worker
//	CloseBegun          new calls are refused                  the workers are stopped             the close
//	CloseStopped        no job runs any more                   the logs are closed                 the close, jobs
//	CloseEnding         all but the directory's lock is given  that is given back                  the close, jobs
//	                    back
//	OrphanRemoving      an open knows a file that nothing      it is unlinked                      the open: nobody else has the store
//	                    names
//
// Files in reading order: point.go, schedule.go, eager.go.
package schedule
