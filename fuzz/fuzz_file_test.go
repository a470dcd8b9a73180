package fuzz

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	mathrand "math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/fuzz/model"
	"github.com/tinedb/tine/fuzz/ops"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

// prepared is a store whose files FuzzFile damages, and the states that it has
// been in.
type prepared struct {
	disk    *crashfs.FS
	names   []string
	history *History
	config  Config
}

// prepare makes a small store with forks, snapshots, tables, and writes that only
// the log has, and closes it.
func prepare(t testing.TB, seed uint64) prepared {
	// The ids of store and log are the same in every process: inputs mean offsets.
	defer func(r io.Reader) { rand.Reader = r }(rand.Reader)
	rand.Reader = mathrand.NewChaCha8([32]byte{byte(seed)})
	p := prepared{disk: newDisk(), history: NewHistory(), config: CrashConfig()}
	d, err := OpenDriver(p.disk, storeDir, p.config, p.history, NewCounts())
	require.NoError(t, err)
	profile := ops.Crashing()
	profile.Chain, profile.EmptyKeys, profile.Wrong = 3, 0, 0
	list := append(script(0, 1, 2, 3, 4, 6, 13, 15), ops.NewGenerator(seed, profile).List(15)...)
	for i, op := range append(list, script(1, 2, 11)...) {
		op.N = i
		require.NoError(t, d.Do(op))
	}
	require.NoError(t, d.Close())
	for _, name := range p.disk.Names() {
		if path.Dir(name) == storeDir && path.Base(name) != ids.LockName {
			p.names = append(p.names, name)
		}
	}
	return p
}

// What FuzzFile does to a file.
const (
	overwrite = iota
	insert
	cut
	replace
	remove
	swap
	manners
)

// FuzzFile damages one file of a store that was closed and opens it. It must be
// refused, or hold one of its earlier states, but for rows whose reading fails;
// after one byte alone it must hold the last. If checksums were made right again,
// anything may be in it, but nothing panics. Then it is worked with: operations
// fail or do what the model says.
func FuzzFile(f *testing.F) {
	stores := []prepared{prepare(f, 1), prepare(f, 2)}
	for which := range uint8(len(stores[0].names)) {
		f.Add(which, uint8(overwrite), uint16(40), []byte{1}, false)
		f.Add(which, uint8(overwrite), uint16(8), []byte{2}, true)
		f.Add(which, uint8(overwrite), uint16(600), []byte{0xff, 0xff, 0xff}, true)
		f.Add(which, uint8(cut), uint16(100), []byte{}, false)
		f.Add(which, uint8(swap), uint16(which+1), []byte{}, false)
	}
	f.Add(uint8(0), uint8(insert), uint16(0), []byte("TINE"), false)
	f.Add(uint8(1), uint8(replace), uint16(0), []byte{}, false)
	f.Add(uint8(2), uint8(remove), uint16(0), []byte{}, false)
	f.Fuzz(func(t *testing.T, which, manner uint8, at uint16, change []byte, fix bool) {
		p := stores[int(which>>7)%len(stores)]
		disk := p.disk.PowerLossAll()
		name := p.names[int(which&0x7f)%len(p.names)]
		before, err := disk.ReadFile(name)
		require.NoError(t, err)
		after := damaged(before, int(manner%manners), int(at), change)
		switch {
		case manner%manners == remove:
			require.NoError(t, disk.Remove(name))
		case manner%manners == swap:
			other := p.names[int(at)%len(p.names)]
			content, err := disk.ReadFile(other)
			require.NoError(t, err)
			after = content
			require.NoError(t, disk.WriteFile(other, before))
			require.NoError(t, disk.WriteFile(name, after))
		default:
			if fix {
				after = resealed(path.Base(name), after)
			}
			require.NoError(t, disk.WriteFile(name, after))
		}
		sound := manner%manners == swap || manner%manners == remove || !fix
		oneByte := manner%manners == overwrite && !fix && differing(before, after) <= 1
		kind, _ := ids.ParseFileName(path.Base(name))
		p.requireRightOrRefused(t, disk, name, sound, oneByte, kind == ids.FileTable && manner%manners != swap)
	})
}

// damaged gives the content after one kind of damage.
func damaged(content []byte, manner, at int, change []byte) []byte {
	at %= len(content) + 1
	content = bytes.Clone(content)
	switch manner {
	case overwrite:
		copy(content[at:], change)
	case insert:
		content = slices.Insert(content, at, change...)
	case cut:
		content = content[:at]
	case replace:
		content = change
	}
	return content
}

func differing(a, b []byte) int {
	n := max(len(a), len(b)) - min(len(a), len(b))
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

// resealed makes those checksums right again that follow from the file alone:
// CURRENT's, the header's of manifest and segment, and the frames' behind it.
func resealed(name string, b []byte) []byte {
	le := binary.LittleEndian
	kind, number := ids.ParseFileName(name)
	switch {
	case name == ids.CurrentName:
		if i := bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), ' '); i >= 0 {
			b = append(b[:i+1:i+1], hexSum(b[:i+1])...)
		}
	case kind == ids.FileManifest && len(b) >= 56:
		le.PutUint64(b[48:], xxhash.Sum64(b[:48]))
		chain := le.Uint64(b[48:])
		for at := 56; at+40 <= len(b); {
			n := 40 + (int(le.Uint32(b[at+4:]))+7)/8*8
			if n > len(b)-at || n < 40 || !strings.Contains("SLCE TXNE BASE MARK", string(b[at:at+4])) {
				break
			}
			le.PutUint64(b[at+16:], chain)
			var place [16]byte
			le.PutUint64(place[0:], uint64(number))
			le.PutUint64(place[8:], uint64(at))
			chain = sumOf(place[:], b[at:at+32], b[at+40:at+n])
			le.PutUint64(b[at+32:], chain)
			at += n
		}
	case kind == ids.FileSegment && len(b) >= 512:
		le.PutUint64(b[504:], xxhash.Sum64(b[:504]))
		for at := 512; at+24 <= len(b); {
			n := 24 + (int(le.Uint32(b[at+8:]))+7)/8*8
			if n > len(b)-at || n < 24 {
				break
			}
			if b[at+12] == 0 { // no frame: the next one begins a sector
				at = at/512*512 + 512
				continue
			}
			var place [24]byte
			copy(place[0:], b[32:40])
			le.PutUint64(place[8:], uint64(number))
			le.PutUint64(place[16:], uint64(at))
			le.PutUint64(b[at:], sumOf(place[:], b[at+8:at+n]))
			at += n
		}
	}
	return b
}

func sumOf(parts ...[]byte) uint64 {
	d := xxhash.New()
	for _, p := range parts {
		_, _ = d.Write(p)
	}
	return d.Sum64()
}

func hexSum(b []byte) string {
	const digits = "0123456789abcdef"
	sum, text := xxhash.Sum64(b), []byte{}
	for shift := 60; shift >= 0; shift -= 4 {
		text = append(text, digits[sum>>shift&15])
	}
	return string(text) + "\n"
}

// refused tells whether an error is one that damage may cause.
func refused(err error) bool {
	return errors.Is(err, engine.ErrCorrupt) || errors.Is(err, engine.ErrNewerFormat) || errors.Is(err, engine.ErrOldFormat) ||
		errors.Is(err, engine.ErrNotStore)
}

// requireRightOrRefused opens what is left of the store. If it is sound, its
// checksums mean something; with tableOnly just a table is damaged.
func (p prepared) requireRightOrRefused(t *testing.T, disk *crashfs.FS, name string, sound, oneByte, tableOnly bool) {
	o := p.config.Options
	o.FS, o.ReadOnly = disk, true
	report, checkErr := engine.Check(storeDir, engine.CheckOptions{Level: engine.CheckDeep, FS: disk})
	require.True(t, checkErr == nil || refused(checkErr), "check: %v", checkErr)
	s, err := engine.Open(storeDir, &o)
	if err != nil {
		require.True(t, refused(err), "open: %v", err)
		require.True(t, checkErr != nil || !report.OK(), "the check finds nothing, and the open says: %v", err)
		require.Zero(t, disk.OpenFiles())
		p.requireRefused(t, disk, name)
		return
	}
	view, readErr := readView(s)
	require.True(t, readErr == nil || refused(readErr), "read: %v", readErr)
	if readErr != nil {
		require.True(t, checkErr != nil || !report.OK(), "the check finds nothing, and a read says: %v", readErr)
	}
	last := p.history.now().Begun
	switch {
	case !sound:
	case readErr == nil && oneByte:
		require.Empty(t, model.Diff(view, p.history.state(last).View()))
	case readErr == nil:
		_, found := p.history.find(view, 0, last)
		require.True(t, found, "it never held that: %s", model.Diff(view, p.history.state(last).View()))
	default:
		p.requirePrefixes(t, s, tableOnly)
	}
	require.NoError(t, s.Close())
	if readErr != nil {
		p.requireRefused(t, disk, name)
		return
	}
	p.workWith(t, disk, view)
}

// requirePrefixes demands that what each scan gives before it fails are the first
// rows of one state for all forks; if only a table is damaged, of the last one.
func (p prepared) requirePrefixes(t *testing.T, s *engine.Store, tableOnly bool) {
	type row struct{ key, value string }
	scans := map[string][]row{}
	for _, info := range s.Forks() {
		f, err := s.Fork(info.Name)
		require.NoError(t, err)
		rows, _ := f.Scan(engine.Range{})
		scans[info.Name] = nil
		for key, value := range rows {
			scans[info.Name] = append(scans[info.Name], row{string(key), string(value)})
		}
	}
	agrees := func(state model.State) bool {
		for name, rows := range scans {
			fork, ok := state.Forks.Get(name)
			if !ok || len(rows) > fork.Contents.Len() {
				return false
			}
			for i, r := range rows {
				if key, value := fork.Contents.At(i); key != r.key || value != r.value {
					return false
				}
			}
		}
		return len(scans) == state.Forks.Len()
	}
	last := p.history.now().Begun
	for k := last; k >= 0 && (k == last || !tableOnly); k-- {
		if agrees(p.history.state(k)) {
			return
		}
	}
	require.Fail(t, "rows that the store never held together", "%v", scans)
}

// requireRefused opens for writing what cannot be read in full: that may do its
// part, and may not break anything.
func (p prepared) requireRefused(t *testing.T, disk *crashfs.FS, damagedName string) {
	o := p.config.Options
	o.FS = disk
	s, err := engine.Open(storeDir, &o)
	if err != nil {
		require.True(t, refused(err), "open: %v", err)
		require.Zero(t, disk.OpenFiles())
		return
	}
	_, err = readView(s)
	require.True(t, err == nil || refused(err), "read: %v", err)
	for _, job := range []func() error{s.Flush, s.Compact} {
		err := job()
		require.True(t, err == nil || refused(err), "flush and compact: %v", err)
	}
	if _, err := disk.ReadFile(damagedName); err == nil { // else a file is missing, and Verify says so
		require.NoError(t, s.Verify())
	}
	require.NoError(t, s.Close())
	require.Zero(t, disk.OpenFiles())
}

// workWith does operations to a store that could be read.
func (p prepared) workWith(t *testing.T, disk *crashfs.FS, view model.View) {
	state := view.State()
	d, err := Resume(disk, storeDir, p.config, state, NewCounts())
	require.NoError(t, err)
	rng := mathrand.New(mathrand.NewPCG(1, uint64(state.Forks.Len())))
	at, _ := state.Forks.At(rng.IntN(state.Forks.Len()))
	for i, op := range []ops.Op{
		{Kind: ops.Put, Fork: at, Key: "after", Size: 60},
		{Kind: ops.Fork, Fork: at, Name: "after-damage"},
		{Kind: ops.Delete, Fork: at, Key: "a", NoSync: true},
		{Kind: ops.Flush}, {Kind: ops.Drop, Fork: at}, {Kind: ops.Compact},
		{Kind: ops.Verify}, {Kind: ops.Check}, {Kind: ops.Reopen}, {Kind: ops.Check},
	} {
		op.N = 1_000_000 + i
		if err := d.Do(op); err != nil {
			require.True(t, refused(err), "%v", err)
			break
		}
	}
	if err := d.Close(); err != nil {
		require.True(t, refused(err), "%v", err)
	}
}
