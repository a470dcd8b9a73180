package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// fileSyncs gives the sorted times, in microseconds, of writing a little to a
// preallocated file and making that durable: what a durable commit of one client
// cannot do without.
func fileSyncs(dir string, n int) (took []float64, err error) {
	const each = 128
	f, err := os.Create(filepath.Join(dir, "filesyncs"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	if _, err := f.Write(make([]byte, n*each)); err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, err
	}
	content := make([]byte, each)
	for i := range content {
		content[i] = byte(i)
	}
	for i := range n {
		start := time.Now()
		if _, err := f.WriteAt(content, int64(i)*each); err != nil {
			return nil, err
		}
		if err := syncData(f); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start).Seconds()*1e6)
	}
	slices.Sort(took)
	return took, nil
}
