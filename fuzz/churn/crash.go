package churn

import (
	"errors"
	"fmt"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// crash opens what a crash would leave now, while the store goes on: all that was
// acknowledged if the process alone dies, and if the power is lost, all there was when
// the log was synced. Background work may be anywhere.
func (r *run) crash() error {
	if r.disk == nil {
		return nil
	}
	how, image := "a kill", r.disk.AfterKill
	switch r.rng.IntN(4) {
	case 0:
		how, image = "a loss of power", r.disk.PowerLossStrict
	case 1:
		how, image = "a loss of power that keeps some", func() *crashfs.FS { return r.disk.PowerLoss(r.rng) }
	}
	if how != "a kill" {
		if err := r.store.Sync(); err != nil {
			return err
		}
	}
	if err := r.recovered(image()); err != nil {
		return fmt.Errorf("after %s: %w", how, err)
	}
	r.counts.Add("crashes", 1)
	r.counts.Add("crashes: "+how, 1)
	return nil
}

// recovered opens an image and demands that it holds what the store holds, and goes on
// holding it when the work that is due is done.
func (r *run) recovered(image *crashfs.FS) (err error) {
	options := r.options
	options.FS, options.Manual = image, true
	s, err := engine.Open(r.dir, &options)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() {
		if err = errors.Join(err, s.Close()); err == nil {
			err = r.sound(image)
		}
	}()
	if err := r.compareWith(s); err != nil {
		return err
	}
	if r.rng.IntN(3) > 0 {
		return s.Verify()
	}
	if err := errors.Join(s.Flush(), s.Compact(), s.Verify()); err != nil {
		return err
	}
	return r.compareWith(s)
}

func (r *run) compareWith(s *engine.Store) error {
	if st := s.Stats(); st.Forks != len(r.live) || st.Snapshots != len(r.snapshots) {
		return fmt.Errorf("there are %d forks and %d snapshots, want %d and %d", st.Forks, st.Snapshots, len(r.live), len(r.snapshots))
	}
	for _, want := range r.live {
		f, err := s.Fork(want.name)
		if err == nil {
			err = r.compareAll(f, want.contents, false)
		}
		if err != nil {
			return fmt.Errorf("fork %s: %w", want.name, err)
		}
	}
	for _, want := range r.snapshots {
		n, err := s.Snapshot(want.name)
		if err == nil {
			err = r.compareAll(n, want.contents, false)
		}
		if err != nil {
			return fmt.Errorf("snapshot %s: %w", want.name, err)
		}
	}
	return nil
}

// sound examines an image that was opened and closed.
func (r *run) sound(image *crashfs.FS) error {
	report, err := engine.Check(r.dir, engine.CheckOptions{Level: r.level(), FS: image})
	if err != nil {
		return err
	}
	if len(report.Problems)+len(report.Missing)+len(report.Leaked) > 0 {
		return fmt.Errorf("check: problems %v, missing %v, leaked %v", report.Problems, report.Missing, report.Leaked)
	}
	return r.compareRecords(image, false)
}
