package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// mutant is one deliberate bug: a patch with a header.
type mutant struct {
	file   string // of the patch, absolute
	name   string // the file's name without .patch
	breaks string
	tests  []test
	edits  []edit
}

// test is a package of this module and a pattern for go test -run.
type test struct{ pkg, pattern string }

func (t test) String() string { return t.pkg + " " + t.pattern }

// load reads all patches, by name.
func load(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no patches in %s", dir)
	}
	var mutants []mutant
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m, err := parse(file, string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		mutants = append(mutants, m)
	}
	return mutants, nil
}

func parse(file, text string) (mutant, error) {
	m := mutant{file: file}
	for line := range strings.Lines(text) {
		what, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch what {
		case "# name":
			m.name = value
		case "# breaks":
			m.breaks = value
		case "# test":
			pkg, pattern, _ := strings.Cut(value, " ")
			if !strings.HasPrefix(pkg, "./") || !strings.HasPrefix(pattern, "Test") {
				return m, fmt.Errorf("test %q is no package and the name of a test", value)
			}
			m.tests = append(m.tests, test{pkg, pattern})
		}
	}
	switch {
	case m.name+".patch" != filepath.Base(file):
		return m, fmt.Errorf("the header says name %q", m.name)
	case m.breaks == "" || len(m.tests) == 0:
		return m, fmt.Errorf("the header lacks what it breaks, or a test")
	}
	var err error
	m.edits, err = parseEdits(text)
	return m, err
}
