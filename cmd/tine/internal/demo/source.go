package demo

import (
	"context"
	"fmt"
	"go/build"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// findSource gives the directory to import and a function that removes it if it
// was made up.
func (d *demo) findSource() (dir string, cleanup func(), err error) {
	cleanup = func() {}
	if d.opts.Source != "" {
		d.line("the directory: %s", d.opts.Source)
		return d.opts.Source, cleanup, nil
	}
	if dir := goSource(d.ctx); dir != "" {
		d.line("the source of Go on this machine: %s", dir)
		return dir, cleanup, nil
	}
	dir, err = os.MkdirTemp("", "tine-demo-source-")
	if err != nil {
		return "", nil, err
	}
	d.report.Generated = true
	d.line("there is no source of Go on this machine, so a tree of %d files is made up instead", generatedFiles)
	d.line("(--source DIR imports any other directory)")
	return dir, func() { _ = os.RemoveAll(dir) }, generate(dir, generatedFiles)
}

// goSource finds GOROOT/src: that which this program was built with, or else
// that of the go command.
func goSource(ctx context.Context) string {
	roots := []string{build.Default.GOROOT}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output(); err == nil {
		roots = append(roots, strings.TrimSpace(string(out)))
	}
	for _, root := range roots {
		src := filepath.Join(root, "src")
		if _, err := os.Stat(filepath.Join(src, "fmt", "print.go")); root != "" && err == nil {
			return src
		}
	}
	return ""
}

const generatedFiles = 4000

// generate makes a tree of text files that compress as text does. It is the same
// every time.
func generate(dir string, files int) error {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("fork node run table block index filter memtable segment record manifest flush view key value func return if for range err nil")
	for i := range files {
		folder := filepath.Join(dir, fmt.Sprintf("pkg%02d", i%40), fmt.Sprintf("part%d", i%7))
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		var text strings.Builder
		for line := range 20 + rng.IntN(400) {
			for range 3 + rng.IntN(8) {
				text.WriteString(words[rng.IntN(len(words))] + " ")
			}
			fmt.Fprintf(&text, "// %d %x\n", line, rng.Uint32())
		}
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprintf("file%05d.txt", i)), []byte(text.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}
