package damage

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
)

// footprint is which bytes of table files a fork or snapshot is read through,
// learnt by watching the reads of one that is read completely. What lies outside
// may be damaged without its noticing.
type footprint map[string][]extent

// extent is a range [lo, hi) of bytes.
type extent struct{ lo, hi int64 }

// touched tells whether a case changes a byte that is read. before has the
// undamaged files.
func (p footprint) touched(before map[string][]byte, c Case) bool {
	for name, after := range c.Files {
		for _, e := range p[name] {
			if e.hi > int64(len(after)) || !bytes.Equal(before[name][e.lo:e.hi], after[e.lo:e.hi]) {
				return true
			}
		}
	}
	return false
}

// covers tells whether a byte of a file is read; offset -1 means any byte.
func (p footprint) covers(name string, offset int64) bool {
	return slices.ContainsFunc(p[name], func(e extent) bool {
		return offset < 0 || e.lo <= offset && offset < e.hi
	})
}

// watch opens the store once for each fork and snapshot, reads it, and notes what
// that took from table files.
func watch(fs vfs.FS, options engine.Options, readers, keys []string) (map[string]footprint, error) {
	prints := map[string]footprint{}
	for _, who := range readers {
		w := &watchedFS{FS: fs, print: footprint{}}
		options.FS, options.ReadOnly, options.CacheBytes = w, true, 1
		store, err := engine.Open(storeDir, &options)
		if err != nil {
			return nil, err
		}
		r, err := openReader(store, who)
		if err == nil {
			err = read(r, who, keys, false).failure()
		}
		if closeErr := store.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", who, err)
		}
		prints[who] = w.print
	}
	return prints, nil
}

// pathsOf gives the tables below each fork and snapshot as the manifest says, once a
// copy of the store has put all that was in memory into tables: then all of each path
// is in the manifest, and the tables that were there still are.
func pathsOf(fs vfs.FS, options engine.Options) (map[string]footprint, error) {
	options.FS = fs
	store, err := engine.Open(storeDir, &options)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(store.Flush(), store.Close()); err != nil {
		return nil, err
	}
	state, _, err := manifest.Load(fs, storeDir)
	if err != nil {
		return nil, err
	}
	path := func(id ids.NodeID) footprint {
		p := footprint{}
		for id != 0 {
			n := state.Nodes[id]
			for table := range state.Run(&n) {
				m := state.Tables[table]
				name := ids.TableFileName(m.File)
				p[name] = append(p[name], extent{int64(m.Offset), int64(m.Offset + m.Length)})
			}
			id = n.Older
		}
		return p
	}
	paths := map[string]footprint{}
	for f := range state.Forks.All() {
		paths[f.Name] = path(f.Top)
	}
	for _, n := range state.Snapshots {
		paths["@"+n.Name] = path(n.Node)
	}
	return paths, nil
}

// watchedFS notes which bytes of table files are read.
type watchedFS struct {
	vfs.FS
	mu    sync.Mutex
	print footprint
}

func (w *watchedFS) Open(name string) (vfs.File, error) {
	f, err := w.FS.Open(name)
	if err != nil || !strings.HasSuffix(name, ".sst") {
		return f, err
	}
	return &watchedFile{File: f, fs: w, name: path.Base(name)}, nil
}

type watchedFile struct {
	vfs.File
	fs   *watchedFS
	name string
}

func (f *watchedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	e := extent{off, off + int64(n)}
	if !slices.Contains(f.fs.print[f.name], e) {
		f.fs.print[f.name] = append(f.fs.print[f.name], e)
	}
	return n, err
}
