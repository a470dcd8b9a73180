package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/wal"
)

// removeOrphans removes the files of the store's own kinds that the manifest as
// it was loaded does not name: outputs of jobs that a crash ended, old manifests,
// segments that are no part of the log. It runs before any number is given out,
// so that no number can meet a file that already has it. What it does not know it
// leaves alone.
func (s *Store) removeOrphans(state *manifest.State, current ids.FileNum, rec *wal.Recovered) error {
	named := map[ids.FileNum]bool{}
	for _, t := range state.Tables {
		named[t.File] = true
	}
	leftover := map[ids.FileNum]bool{}
	if rec != nil {
		for _, n := range rec.Leftover {
			leftover[n] = true
		}
	}
	return s.removeFiles(func(name string, kind ids.FileKind, num ids.FileNum) bool {
		switch kind {
		case ids.FileTable:
			return !named[num]
		case ids.FileManifest:
			return num != current
		case ids.FileSegment:
			return leftover[num]
		}
		return name != ids.CurrentName && strings.HasPrefix(name, ids.CurrentName)
	})
}

// removeUnreachable removes the table files that the new manifest, which is
// durable, no longer names.
func (s *Store) removeUnreachable() error {
	return s.removeFiles(func(_ string, kind ids.FileKind, num ids.FileNum) bool {
		return kind == ids.FileTable && !s.mu.tree.HasFile(num)
	})
}

func (s *Store) removeFiles(orphan func(name string, kind ids.FileKind, num ids.FileNum) bool) error {
	names, err := s.fs.List(s.dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		kind, num := ids.ParseFileName(name)
		if !orphan(name, kind, num) {
			continue
		}
		if err := s.fs.Remove(path.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove orphan %s: %w", name, err)
		}
		s.opts.Logger.Info("removed an orphan", "file", name)
	}
	return nil
}
