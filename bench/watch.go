package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"
)

// watcher notes the most memory and the most files of a while.
type watcher struct {
	memory uint64 // of the process, in bytes; good after stop
	files  int    // of the store; good after stop
	err    error
	done   chan struct{}
	wg     sync.WaitGroup
}

// watch looks at the process and at a store's directory until it is stopped.
func watch(dir string) *watcher {
	w := &watcher{done: make(chan struct{})}
	w.wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			w.look(dir)
			select {
			case <-w.done:
				return
			case <-tick.C:
			}
		}
	})
	return w
}

func (w *watcher) look(dir string) {
	memory, err := residentBytes()
	w.err = errors.Join(w.err, err)
	w.memory = max(w.memory, memory)
	files, err := storeFiles(dir)
	w.err = errors.Join(w.err, err)
	w.files = max(w.files, files.files)
}

func (w *watcher) stop() error {
	close(w.done)
	w.wg.Wait()
	return w.err
}

// residentAtRest gives the memory of the process when it has given back what it can.
func residentAtRest() uint64 {
	debug.FreeOSMemory()
	n, err := residentBytes()
	if err != nil {
		return 0
	}
	return n
}

// fileCount counts files and their bytes.
type fileCount struct {
	files int
	bytes int64
}

// storeFiles counts all files of a store, tableFiles those with tables.
func storeFiles(dir string) (fileCount, error) { return countFiles(filepath.Join(dir, "*")) }
func tableFiles(dir string) (fileCount, error) { return countFiles(filepath.Join(dir, "*.sst")) }

func countFiles(pattern string) (c fileCount, err error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return c, err
	}
	for _, name := range names {
		info, err := os.Stat(name)
		if errors.Is(err, os.ErrNotExist) {
			continue // unlinked meanwhile
		}
		if err != nil {
			return c, err
		}
		c.files++
		c.bytes += info.Size()
	}
	return c, nil
}
