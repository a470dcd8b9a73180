package damage

import (
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/ops"
)

// options are those of all specimens: files are small, so that every byte can be
// damaged, and nothing happens by itself, so that a case repeats.
func options() engine.Options {
	return engine.Options{
		Manual: true, MemtableBytes: 64 << 10, SegmentBytes: 3 << 10, TableBytes: 3000, BlockBytes: 160,
		CacheBytes: 64 << 10, MaxOpenFiles: 4,
	}
}

// script is a short life that leaves something of everything in the directory.
// "moment" is where the files are kept, to come back as stale ones later.
func script() []any {
	put := func(fork, key string, size int, unsynced bool) ops.Op {
		return ops.Op{Kind: ops.Put, Fork: fork, Key: key, Size: size, NoSync: unsynced}
	}
	const lazy, moment = true, "moment"
	return []any{
		ops.Op{Kind: ops.Fork, Fork: "main", Name: "apart"}, // shares nothing with anybody
		put("apart", "own", 60, lazy), put("apart", "k1", 60, lazy), put("apart", "k5", 0, lazy),
		put("main", "k1", 70, lazy), put("main", "k2", 90, lazy), put("main", "k3", 70, lazy), put("main", "k4", 90, lazy),
		ops.Op{Kind: ops.Snapshot, Fork: "main", Name: "first"},
		put("main", "k2", 60, lazy), put("main", "k5", 80, false),
		put("main", "twin0", 260, lazy), put("main", "twin1", 260, lazy), put("main", "twin2", 260, false),
		moment,
		ops.Op{Kind: ops.Flush},
		ops.Op{Kind: ops.Reopen},
		moment,
		ops.Op{Kind: ops.Fork, Fork: "main", Name: "child"},
		put("child", "k3", 60, lazy), put("child", "k6", 90, lazy),
		ops.Op{Kind: ops.Fork, Fork: "child", Name: "grand", NoSync: lazy},
		put("grand", "k1", 60, lazy), ops.Op{Kind: ops.Delete, Fork: "grand", Key: "k4", NoSync: lazy},
		ops.Op{Kind: ops.Fork, Fork: "main", Name: "doomed", NoSync: lazy},
		// Blocks as long as those of the same keys in an older table.
		put("grand", "twin0", 260, lazy), put("grand", "twin1", 260, lazy), put("grand", "twin2", 260, lazy),
		put("doomed", "k9", 60, lazy), put("main", "k7", 60, false),
		ops.Op{Kind: ops.Flush},
		moment,
		ops.Op{Kind: ops.Drop, Fork: "doomed"},
		put("main", "k8", 60, lazy), put("main", "k1", 60, lazy), put("main", "k2", 60, false),
		ops.Op{Kind: ops.Flush},
		ops.Op{Kind: ops.Compact},
		moment,
		put("main", "k3", 60, lazy),
		ops.Op{Kind: ops.Snapshot, Fork: "grand", Name: "second", NoSync: lazy},
		ops.Op{Kind: ops.Rename, Fork: "child", Name: "renamed", NoSync: lazy},
		ops.Op{Kind: ops.Fork, Fork: "grand", Name: "late", NoSync: lazy},
		put("late", "k2", 60, lazy), put("late", "k9", 60, lazy),
		ops.Op{Kind: ops.Batch, NoSync: lazy, Writes: []ops.Write{
			{Fork: "main", Key: "k1", Size: 50}, {Fork: "late", Key: "k1", Delete: true}, {Fork: "apart", Key: "k2", Size: 50}}},
		put("renamed", "k1", 60, false), put("main", "k9", 60, false),
		moment,
		ops.Op{Kind: ops.Fork, Fork: "late", Name: "last"},
		put("last", "k1", 60, lazy), put("main", "k6", 60, lazy), put("main", "k5", 60, false),
		ops.Op{Kind: ops.ResetSnapshot, Fork: "renamed", Name: "first", NoSync: lazy},
		moment,
		put("renamed", "k2", 60, lazy), put("last", "k3", 60, false), put("late", "k4", 60, lazy),
	}
}

// build does the script and what follows it; it stops before the end is decided.
func build() (*builder, error) {
	b, err := newBuilder(options())
	if err != nil {
		return nil, err
	}
	for n, step := range script() {
		op, isOp := step.(ops.Op)
		if !isOp {
			b.moment()
			continue
		}
		op.N = n
		if err := b.do(op); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Specimens makes the stores of which every byte is damaged: one that was closed,
// one whose process was killed, and one that was killed, recovered, written to and
// killed again.
func Specimens() ([]*Specimen, error) {
	b, err := build()
	if err != nil {
		return nil, err
	}
	killed, err := b.killed("killed")
	if err != nil {
		return nil, err
	}
	closed, err := b.closed("closed")
	if err != nil {
		return nil, err
	}
	again, err := killedAgain(b, killed)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	return []*Specimen{closed, killed, again}, nil
}

// killedAgain recovers a killed store, writes a little and kills it: its last
// segment begins with copies of what the one before had unproven.
func killedAgain(b *builder, killed *Specimen) (*Specimen, error) {
	next := &builder{
		fs: killed.fs.AfterKill(), options: b.options, states: b.states[:len(b.states):len(b.states)],
		lsns: b.lsns[:len(b.lsns):len(b.lsns)], synced: b.synced[:len(b.synced):len(b.synced)], last: b.last, keys: b.keys, earlier: b.earlier,
	}
	next.moment()
	o := next.options
	o.FS = next.fs
	store, err := engine.Open(storeDir, &o)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	for n := range 3 {
		op := ops.Op{N: 900 + n, Kind: ops.Put, Fork: "grand", Key: fmt.Sprintf("k%d", n+1), Size: 50, NoSync: n != 1}
		if err := next.put(store, op); err != nil {
			return nil, err
		}
		next.moment()
	}
	return next.killed("killed again")
}

// put does a put without a driver.
func (b *builder) put(store *engine.Store, op ops.Op) error {
	f, err := store.Fork(op.Fork)
	if err != nil {
		return err
	}
	var how []engine.WriteOption
	if op.NoSync {
		how = append(how, engine.NoSync)
	}
	if err := f.Set([]byte(op.Key), []byte(ops.Value(op.Fork, op.N, op.Key, op.Size)), how...); err != nil {
		return err
	}
	b.note(op)
	return nil
}
