package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// workspace is a copy of the module in which mutants are tried, one at a time.
// What happens to the module meanwhile does not matter.
type workspace struct {
	dir   string
	sound map[test]time.Duration
}

func newWorkspace(root string) (*workspace, error) {
	dir, err := os.MkdirTemp("", "tine-mutants-")
	if err != nil {
		return nil, err
	}
	w := &workspace{dir: dir, sound: map[test]time.Duration{}}
	if err := copyModule(root, dir); err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

func (w *workspace) remove() { _ = os.RemoveAll(w.dir) }

// mutate applies a mutant to the copy. restore takes it back; it must be called
// in any case.
func (w *workspace) mutate(m mutant) (restore func() error, err error) {
	before := map[string][]byte{}
	restore = func() error {
		for name, text := range before {
			if err := os.WriteFile(name, text, 0o644); err != nil {
				return fmt.Errorf("restore: %w", err)
			}
		}
		return nil
	}
	for _, e := range m.edits {
		name := filepath.Join(w.dir, e.name)
		text, err := os.ReadFile(name)
		if err != nil {
			return restore, err
		}
		changed, err := e.apply(string(text))
		if err != nil {
			return restore, err
		}
		before[name] = text
		if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
			return restore, err
		}
	}
	return restore, nil
}

// command runs a command in the copy and gives all that it prints. Paths are left
// out of what is built, so that two runs share the build cache.
func (w *workspace) command(name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = w.dir
	c.Env = append(os.Environ(), "TINE_SHRINK=0", "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath"))
	out, err := c.CombinedOutput()
	return string(out), err
}

// moduleRoot is the nearest directory above with a go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// copyModule copies all but hidden directories.
func copyModule(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && name != "." && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o644)
	})
}
