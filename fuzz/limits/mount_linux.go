package limits

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
)

func init() { children["mount"], children["may-mount"] = SmallDisk, MayMount }

// The disk of a child: so large, and so much of it is a file that can be removed.
const (
	smallDiskBytes = 12 << 20
	ballastBytes   = 5 << 20
)

// ErrNoMount says that this process may not mount anything.
var ErrNoMount = errors.New("mounting is not permitted here")

// mountNamespace lets a child mount for itself alone.
func mountNamespace() *syscall.SysProcAttr {
	if os.Geteuid() == 0 {
		return &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}

// MayMount does nothing but mount a disk, and tells whether that is permitted.
func MayMount(dir string, _ *fuzz.Counts) error {
	unmount, err := mountSmall(dir)
	if err == nil {
		unmount()
	}
	return err
}

// mountSmall mounts a small file system on dir, for this process alone.
func mountSmall(dir string) (unmount func(), err error) {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMount, err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", smallDiskBytes)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoMount, err)
	}
	return func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) }, nil
}

// SmallDisk fills a real file system of 12 MiB, in a mount namespace of its own,
// frees some of it, goes on, and reopens.
func SmallDisk(dir string, counts *fuzz.Counts) error {
	unmount, err := mountSmall(dir)
	if err != nil {
		return err
	}
	defer unmount()
	counts.Add("mounted", 1)
	s := &small{counts: counts, dir: dir, want: book{engine.MainFork: model.Contents{}, "junk": model.Contents{}}}
	for round := range 3 {
		if err := s.round(round); err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

type small struct {
	counts *fuzz.Counts
	dir    string
	store  *engine.Store
	want   book
	n      int
}

func (s *small) ballast() string { return filepath.Join(s.dir, "ballast") }

func (s *small) open() error {
	var err error
	s.store, err = engine.Open(filepath.Join(s.dir, "store"), &engine.Options{
		MemtableBytes: 512 << 10, SegmentBytes: 256 << 10, TableBytes: 64 << 10, CacheBytes: 1 << 20,
	})
	return err
}

// round fills the disk by writing, beside a file that is not the store's; is
// refused; drops a fork; removes that file; goes on, and reopens.
func (s *small) round(round int) error {
	if err := os.WriteFile(s.ballast(), make([]byte, ballastBytes), 0o600); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	main, err := s.store.Fork(engine.MainFork)
	if err != nil {
		return err
	}
	if round == 0 {
		if _, err := main.Fork("junk"); err != nil {
			return err
		}
	}
	if err := s.fill(); err != nil {
		return err
	}
	if err := s.want.compare(s.store); err != nil {
		return fmt.Errorf("reads on a full disk: %w", err)
	}
	junk, err := s.store.Fork("junk")
	if err != nil {
		return err
	}
	if err := junk.Drop(); err != nil {
		return fmt.Errorf("drop on a full disk: %w", err)
	}
	delete(s.want, "junk")
	s.counts.Add("drops on a full disk", 1)
	if err := os.Remove(s.ballast()); err != nil {
		return err
	}
	for range 4 { // workers may be in a turn that met the full disk
		if err := s.store.Settle(); err != nil {
			if err := refusal(err); err != nil {
				return err
			}
		}
	}
	if err := errors.Join(s.store.Flush(), s.store.Compact()); err != nil {
		return fmt.Errorf("with space again: %w", err)
	}
	if _, err := main.Fork("junk"); err != nil {
		return fmt.Errorf("with space again: %w", err)
	}
	s.want["junk"] = s.want[engine.MainFork]
	if err := s.write(engine.MainFork, 10); err != nil {
		return fmt.Errorf("with space again: %w", err)
	}
	if err := errors.Join(s.want.compare(s.store), s.store.Settle(), s.store.Verify(), s.store.Close()); err != nil {
		return err
	}
	s.counts.Add("resumed", 1)
	if err := clean(filepath.Join(s.dir, "store")); err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	return errors.Join(s.want.compare(s.store), s.store.Close())
}

// fill writes until the disk refuses.
func (s *small) fill() error {
	for range 100_000 {
		name := engine.MainFork
		if s.n%5 > 0 {
			name = "junk"
		}
		if err := s.write(name, 20); err != nil {
			s.counts.Add("disks filled", 1)
			return refusal(err)
		}
	}
	return errors.New("the disk never is full")
}

func (s *small) write(name string, rows int) error {
	f, err := s.store.Fork(name)
	if err != nil {
		return err
	}
	b, contents := s.store.NewBatch(), s.want[name]
	s.n++
	for i := range rows {
		key := fmt.Sprintf("%s%05d", name, s.n*31+i)
		if name == engine.MainFork {
			key = fmt.Sprintf("k%04d", (s.n*31+i)%1000) // what stays does not grow
		}
		value := ops.Value(name, s.n*100+i, key, 500)
		b.Set(f, []byte(key), []byte(value))
		contents = contents.Set(key, value)
	}
	if err := b.Commit(engine.NoSync); err != nil {
		return err
	}
	s.want[name] = contents
	return nil
}
