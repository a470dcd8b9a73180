package manifest_test

import (
	"fmt"
	"os"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
)

// A new store, one fork of main, and what the next process finds.
func Example() {
	dir, err := os.MkdirTemp("", "manifest")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	state := manifest.NewState()
	state.Counters = manifest.Counters{NextID: 100, NextLSN: 100}
	state.Forks.Put(manifest.Fork{ID: 1, Name: "main", Memtable: 2})
	next := ids.FileNum(9)
	log, err := manifest.Create(vfs.OS, dir, state, manifest.Options{
		NextFile:    func() ids.FileNum { next++; return next },
		WaitDurable: func(ids.LSN) error { return nil }, // the write-ahead log's Sync
	})
	if err != nil {
		panic(err)
	}
	position := log.Append(&manifest.Transaction{
		PutForks: []manifest.Fork{{ID: 3, Name: "agent-7", Parent: 1, Memtable: 4, CreatedLSN: 12}},
	}, 12)
	if err := log.Sync(position); err != nil {
		panic(err)
	}
	if err := log.Close(); err != nil {
		panic(err)
	}

	found, info, err := manifest.Load(vfs.OS, dir)
	if err != nil {
		panic(err)
	}
	fmt.Println(info.Name, info.Transactions, "transaction")
	child, _ := found.Forks.Get(3)
	parent, _ := found.Forks.Get(child.Parent)
	fmt.Println(child.Name, "of", parent.Name)
	// Output:
	// MANIFEST-000010 1 transaction
	// agent-7 of main
}
