package sstable_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/sstable"
)

// A table is written to memory, put into a file, and read back.
func Example() {
	var content bytes.Buffer
	w := sstable.NewWriter(&content, 7, 31, 0, sstable.WriterOptions{})
	_ = w.Add([]byte("apple"), iterator.Set, []byte("red")) // errors stay until Finish
	_ = w.Add([]byte("lemon"), iterator.Tombstone, nil)
	_ = w.Add([]byte("plum"), iterator.Set, []byte("blue"))
	meta, err := w.Finish()
	if err != nil {
		panic(err)
	}

	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := os.WriteFile(filepath.Join(dir, ids.TableFileName(31)), content.Bytes(), 0o644); err != nil {
		panic(err)
	}

	tables := sstable.NewTables(vfs.OS, filepath.ToSlash(dir), sstable.NewCache(1<<20), 16)
	defer tables.Close()
	r, err := tables.Reader(&meta)
	if err != nil {
		panic(err)
	}
	value, _, found, err := r.Get(nil, []byte("plum"), nil)
	fmt.Println(string(value), found, err)
	it := r.NewIter(nil)
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Println(it.Ordinal(), string(it.Key()), it.Kind() == iterator.Tombstone)
	}
	fmt.Println(it.Close())
	// Output:
	// blue true <nil>
	// 0 apple false
	// 1 lemon true
	// 2 plum false
	// <nil>
}
