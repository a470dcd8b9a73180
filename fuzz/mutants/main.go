// Command mutants tells whether the tests notice deliberate bugs.
//
// Each *.patch beside it breaks one mechanism of the store, and its header says
// which, and which tests should notice:
//
//	# name: trim-past-idle-fork
//	# breaks: the log is trimmed although an idle fork's writes are only in it
//	# test: ./fuzz TestCrash
//
// It copies the module to a temporary directory and runs the tests there as they
// are: they must pass, or a mutant's death would mean nothing. Then for each
// mutant it applies the patch, runs the tests that it names and takes it back. A mutant that the
// tests do not notice is reported as SURVIVED, and the exit code is 1; so is a
// patch that no longer applies or does not compile: renew it.
//
//	go run ./fuzz/mutants              all of them
//	go run ./fuzz/mutants -only NAME   one
//	go run ./fuzz/mutants -list
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// mutant is one deliberate bug.
type mutant struct {
	file   string
	name   string
	breaks string
	tests  []string // "package regexp"
}

func main() {
	only := flag.String("only", "", "run only the mutant of this name")
	list := flag.Bool("list", false, "list the mutants and run none")
	flag.Parse()
	bad, err := run(*only, *list)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if bad > 0 {
		fmt.Printf("%d mutants are not killed\n", bad)
		os.Exit(1)
	}
}

func run(only string, list bool) (bad int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 0, err
	}
	mutants, err := load(filepath.Join(root, "fuzz", "mutants"))
	if err != nil {
		return 0, err
	}
	work := ""
	if !list {
		if work, err = os.MkdirTemp("", "tine-mutants-"); err != nil {
			return 0, err
		}
		defer os.RemoveAll(work)
		if err := copyModule(root, work); err != nil {
			return 0, err
		}
	}
	ran := 0
	sound := map[string]bool{}
	for _, m := range mutants {
		if only != "" && m.name != only {
			continue
		}
		ran++
		if list {
			fmt.Printf("%-28s %s\n", m.name, m.breaks)
			continue
		}
		for _, test := range m.tests {
			if sound[test] {
				continue
			}
			pkg, pattern, _ := strings.Cut(test, " ")
			if out, err := command(work, "go", "test", pkg, "-run", pattern, "-timeout", "600s"); err != nil {
				return 0, fmt.Errorf("%s fails without any mutant: %s", test, killer(out))
			}
			sound[test] = true
		}
		start := time.Now()
		verdict, killed := m.try(root, work)
		if !killed {
			bad++
		}
		fmt.Printf("%-28s %5.1fs  %s\n", m.name, time.Since(start).Seconds(), verdict)
	}
	if ran == 0 {
		return 0, fmt.Errorf("no mutant %q", only)
	}
	return bad, nil
}

// try applies the patch, runs the tests and takes the patch back.
func (m mutant) try(root, work string) (verdict string, killed bool) {
	touched, err := m.apply(work)
	defer restore(root, work, touched)
	if err != nil {
		return "DOES NOT APPLY: " + err.Error(), false
	}
	if out, err := command(work, "go", "vet", "-tests=false", "./engine"); err != nil {
		return "DOES NOT COMPILE: " + lastLines(out), false
	}
	for _, test := range m.tests {
		pkg, pattern, _ := strings.Cut(test, " ")
		out, err := command(work, "go", "test", pkg, "-run", pattern, "-failfast", "-timeout", "300s")
		if err != nil {
			return "killed by " + killer(out), true
		}
	}
	return "SURVIVED: " + m.breaks, false
}

// apply changes the copy and tells which files it changed.
func (m mutant) apply(work string) (touched []string, err error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return nil, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			touched = append(touched, strings.TrimSpace(name))
		}
	}
	out, err := command(work, "patch", "-p1", "--batch", "--forward", "-F3", "-i", m.file)
	if err != nil {
		return touched, fmt.Errorf("%s", lastLines(out))
	}
	return touched, nil
}

func restore(root, work string, touched []string) {
	for _, name := range touched {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(work, name), data, 0o644)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "mutants: restore:", err)
			os.Exit(2)
		}
	}
}

// killer finds the first test that failed in the output of go test.
func killer(out string) string {
	for _, line := range strings.Split(out, "\n") {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ := strings.Cut(rest, " ")
			return name
		}
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "panic:") || strings.HasPrefix(line, "fatal error:") {
			return line
		}
	}
	return "a failing run: " + lastLines(out)
}

func lastLines(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	return strings.Join(lines[max(0, len(lines)-3):], " | ")
}

func command(dir, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "TINE_SHRINK=0")
	out, err := c.CombinedOutput()
	return string(out), err
}

// load reads the headers of all patches, by name.
func load(dir string) ([]mutant, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.patch"))
	if err != nil {
		return nil, err
	}
	var mutants []mutant
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		m := mutant{file: file}
		for _, line := range strings.Split(string(text), "\n") {
			what, value, _ := strings.Cut(line, ": ")
			switch what {
			case "# name":
				m.name = value
			case "# breaks":
				m.breaks = value
			case "# test":
				m.tests = append(m.tests, value)
			}
		}
		if m.name == "" || m.breaks == "" || len(m.tests) == 0 {
			return nil, fmt.Errorf("%s: the header lacks name, breaks or test", file)
		}
		mutants = append(mutants, m)
	}
	return mutants, nil
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
