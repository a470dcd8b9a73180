package tree

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// item is one thing found below a directory.
type item struct {
	path string // slash path below the directory
	kind Kind
	mode uint16
	// modTime and size are as listed; the file may change before it is read, and
	// what is stored then is what was read.
	modTime int64
	size    int64
	// keep is false for a directory that needs no entry, because the files in it
	// tell that it is there and its mode is the usual one.
	keep bool
}

// plainDirMode is the mode of directories that have no entry.
const plainDirMode = 0o755

// A SpecialError lists what Import cannot store.
type SpecialError struct {
	Paths []string // with what each is: "run/agent.sock (socket)"
}

func (e *SpecialError) Error() string {
	return fmt.Sprintf("%d cannot be stored: %s; remove them or use --skip-special", len(e.Paths), shorten(e.Paths))
}

// shorten joins the first ten of a list.
func shorten(list []string) string {
	const most = 10
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}

// walk lists everything below dir in key order, and what cannot be stored apart.
// Symbolic links are listed, never followed; dir itself may be one.
func walk(dir string) (items []item, special []string, err error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, nil, fmt.Errorf("walk: %w", err)
	}
	if info, err := os.Stat(root); err != nil {
		return nil, nil, fmt.Errorf("walk: %w", err)
	} else if !info.IsDir() {
		return nil, nil, fmt.Errorf("walk: %s is not a directory", dir)
	}
	hasChild := map[string]bool{}
	err = filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == root {
			return nil
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		it := item{path: rel, mode: unixMode(info.Mode()), modTime: info.ModTime().UnixNano(), size: info.Size(), keep: true}
		switch t := info.Mode().Type(); {
		case t == 0:
			it.kind = File
		case t == fs.ModeSymlink:
			it.kind, it.mode, it.modTime = Symlink, 0o777, 0
		case t == fs.ModeDir:
			it.kind, it.size = Dir, 0
		default:
			special = append(special, fmt.Sprintf("%s (%s)", rel, specialName(t)))
			return nil
		}
		if i := strings.LastIndexByte(rel, '/'); i >= 0 {
			hasChild[rel[:i]] = true
		}
		items = append(items, it)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("walk: %w", err)
	}
	for i := range items {
		if it := &items[i]; it.kind == Dir {
			it.keep = !hasChild[it.path] || it.mode != plainDirMode
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Compare(a.path, b.path) })
	return items, special, nil
}

func specialName(t fs.FileMode) string {
	switch {
	case t&fs.ModeSocket != 0:
		return "socket"
	case t&fs.ModeNamedPipe != 0:
		return "named pipe"
	case t&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
