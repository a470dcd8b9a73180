package fuzz

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// backup copies the store, or some of its forks, and demands that the copy holds what
// the model says and nothing else, also once it was flushed and merged, and that it is
// whole after a power loss that comes right away.
func (d *Driver) backup(op ops.Op) error {
	want := d.state
	for _, name := range op.Names {
		if _, exists := want.Forks.Get(name); !exists {
			err := d.backUp(crashfs.New(), op)
			d.seen.refused(err)
			return d.agree(op, err, model.ErrForkNotFound)
		}
	}
	if op.Kind == ops.BackupSome {
		want.Snapshots = model.State{}.Snapshots
		for _, name := range d.state.Forks.Keys() {
			if !slices.Contains(op.Names, name) {
				want.Forks = want.Forks.Delete(name)
			}
		}
	}
	to := crashfs.New()
	if err := d.backUp(to, op); err != nil {
		return d.agree(op, err, nil)
	}
	return d.agree(op, d.restore(to.PowerLossStrict(), want), nil)
}

func (d *Driver) backUp(to *crashfs.FS, op ops.Op) error {
	sink, err := engine.NewBackupDir(storeDir, &engine.Options{FS: to})
	if err != nil {
		return err
	}
	var o engine.BackupOptions
	for _, name := range op.Names {
		o.Forks = append(o.Forks, engine.Ref{Name: name})
	}
	report, err := d.store.Backup(context.Background(), sink, o)
	if err != nil {
		return err
	}
	d.counts.Add("tables backed up", report.Tables)
	d.counts.Add("records of the log backed up", report.LogRecords)
	return nil
}

// restore opens a backup and compares it with what it must hold.
func (d *Driver) restore(fs *crashfs.FS, want model.State) (err error) {
	if err := checkTidy(fs, storeDir); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	options := d.options
	options.FS, options.Manual, options.Schedule = fs, true, nil
	s, err := engine.Open(storeDir, &options)
	if err != nil {
		return fmt.Errorf("open of a backup: %w", err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	compare := func() error {
		var forks, snapshots []string
		l := listed(s)
		for _, f := range l.forks {
			forks = append(forks, f.Name)
		}
		for _, n := range l.snapshots {
			snapshots = append(snapshots, n.Name)
		}
		if !slices.Equal(forks, want.Forks.Keys()) || !slices.Equal(snapshots, want.Snapshots.Keys()) {
			return fmt.Errorf("it has the forks %v and the snapshots %v, want %v and %v", forks, snapshots, want.Forks.Keys(), want.Snapshots.Keys())
		}
		for name, m := range want.Forks.All() {
			f, err := s.Fork(name)
			if err == nil {
				err = compareAll(f, m.Contents, nil)
			}
			if err != nil {
				return fmt.Errorf("fork %s: %w", name, err)
			}
		}
		for name, m := range want.Snapshots.All() {
			n, err := s.Snapshot(name)
			if err == nil {
				err = compareAll(n, m.Contents, nil)
			}
			if err != nil {
				return fmt.Errorf("snapshot %s: %w", name, err)
			}
		}
		return s.Verify()
	}
	if err := compare(); err != nil {
		return fmt.Errorf("a backup: %w", err)
	}
	if err := errors.Join(s.Flush(), s.Compact()); err != nil {
		return fmt.Errorf("a backup: %w", err)
	}
	if err := compare(); err != nil {
		return fmt.Errorf("a backup that was merged: %w", err)
	}
	d.counts.Add("backups compared", 1)
	return nil
}
