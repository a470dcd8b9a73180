package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/cmd/tine/internal/tree"
	"github.com/tinedb/tine/engine"
)

// ErrNotEmpty says that the directory for the demo's store holds something.
var ErrNotEmpty = errors.New("the demo needs a new or empty directory")

// Options says what Run does.
type Options struct {
	Agents int       // forks to make of main; at least 2
	Source string    // directory to import; "" finds the source of Go
	Dir    string    // of the store, new or empty, and kept; "" makes one and removes it
	Keep   bool      // do not remove it
	Crash  bool      // kill a process in the middle of writing
	Out    io.Writer // the story; nil tells none
}

// demo is one run. The chapters run one after the other in one goroutine; those
// that start others wait for them.
type demo struct {
	ctx    context.Context
	opts   Options
	dir    string
	store  *engine.Store
	base   *base
	main   *agent
	agents []*agent // all forks but main, in order of their making
	report *Report
}

// Run tells the story. The report is there, as far as it got, with an error too.
// Any difference between what a fork holds and what it should hold is an error.
func Run(ctx context.Context, opts Options) (report *Report, err error) {
	d := &demo{ctx: ctx, opts: opts, report: &Report{}}
	started := time.Now()
	if err := d.makeDir(); err != nil {
		return nil, err
	}
	defer func() {
		if d.store != nil {
			err = errors.Join(err, d.store.Close())
		}
		err = errors.Join(err, d.removeDir(err))
	}()
	for _, chapter := range []struct {
		title string
		tell  func() error
	}{
		{"Import a directory tree into the fork main", d.importSource},
		{fmt.Sprintf("Fork main %s times", picture.Count(opts.Agents)), d.forkAll},
		{"Each agent edits, adds and deletes files in its own fork", d.changeAll},
		{"Does each fork see exactly its own changes?", d.verifyAll},
		{"What it costs", d.costs},
		{"Kill a process in the middle of writing", d.crash},
		{"Keep one, throw the others away", d.keepOne},
	} {
		d.chapter(chapter.title)
		if err := chapter.tell(); err != nil {
			return d.report, err
		}
		if err := ctx.Err(); err != nil {
			return d.report, err
		}
	}
	d.report.Seconds = time.Since(started).Seconds()
	d.printf("\nDone in %.1f s: %s forks, %s comparisons, nothing wrong.\n",
		d.report.Seconds, picture.Count(d.report.Forks), picture.Count(d.report.Compared))
	return d.report, nil
}

func (d *demo) makeDir() error {
	if d.opts.Dir == "" {
		dir, err := os.MkdirTemp("", "tine-demo-")
		d.dir = dir
		return err
	}
	d.dir = d.opts.Dir
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%w; %s holds something", ErrNotEmpty, d.dir)
	}
	return err
}

// removeDir removes the demo's own directory. After a failed verification it
// stays, as it is the only evidence.
func (d *demo) removeDir(err error) error {
	d.report.Dir = d.dir
	var failed *VerifyError
	if d.opts.Dir != "" || d.opts.Keep || errors.As(err, &failed) {
		d.printf("The store is in %s\n", d.dir)
		return nil
	}
	d.report.Dir = ""
	return os.RemoveAll(d.dir)
}

func (d *demo) open() error {
	store, err := engine.Open(d.dir, nil)
	if err != nil {
		return err
	}
	d.store = store
	return nil
}

func (d *demo) close() error {
	store := d.store
	d.store = nil
	return store.Close()
}

func (d *demo) importSource() error {
	source, cleanup, err := d.findSource()
	if err != nil {
		return err
	}
	defer cleanup()
	if err := d.open(); err != nil {
		return err
	}
	fork, err := d.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	started := time.Now()
	d.base = newBase()
	imported, err := tree.Import(d.ctx, tree.Into(d.store, fork), source, tree.ImportOptions{SkipSpecial: true, OnPut: d.base.add})
	if err != nil {
		return err
	}
	d.base.freeze()
	if len(d.base.editable) < 20 {
		return fmt.Errorf("%s has only %d files of at most %s; the demo needs 20 to edit", source, len(d.base.editable), picture.Size(editableBytes))
	}
	took := time.Since(started)
	d.line("%s files, %s in %.1f s (durable)", picture.Count(imported.Files), picture.Size(imported.Bytes), took.Seconds())
	if err := d.store.Flush(); err != nil {
		return err
	}
	stats := d.store.Stats()
	d.line("flushed to %d tables, %s compressed: this is the base that all forks share", stats.Tables, picture.Size(stats.TableBytes))
	d.main = &agent{name: engine.MainFork, fork: fork, want: newExpectation(d.base)}
	r := d.report
	r.Source, r.Files, r.SourceBytes, r.ImportSeconds, r.BaseTableBytes = source, imported.Files, imported.Bytes, took.Seconds(), stats.TableBytes
	return nil
}
