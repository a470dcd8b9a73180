package manifest

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/sstable"
)

const (
	damagedManifest = testDir + "/MANIFEST-000002"
	damagedCurrent  = testDir + "/CURRENT"
)

// soundStore is a closed store with a base, transactions in it, and groups and
// marks behind it.
func soundStore(t *testing.T) (*crashfs.FS, *workload) {
	disk, work := newDisk(t), newWorkload(9)
	var wal fakeWAL
	var log *Log
	copying := false
	fsys := watchFS{FS: disk, before: func(op, name string) {
		if copying && op == "write" && name == damagedManifest && log.Last() < 9 {
			appendSome(log, work, 1)
		}
	}}
	log, err := Create(fsys, testDir, clone(work.model), Options{NextFile: fileNumbers(1), WaitDurable: wal.sync})
	require.NoError(t, err)
	require.NoError(t, log.Sync(appendSome(log, work, 6)))
	copying = true
	require.NoError(t, log.Rewrite())
	copying = false
	require.NoError(t, log.Sync(appendSome(log, work, 3)))
	require.NoError(t, log.Sync(appendSome(log, work, 2)))
	require.NoError(t, log.Close())
	requireLoads(t, disk, work.model)
	return disk, work
}

// TestEveryFlippedByteIsFound: in a store that was closed, no byte of either
// file may change the answer.
func TestEveryFlippedByteIsFound(t *testing.T) {
	disk, work := soundStore(t)
	want := fingerprint(work.model)
	harmless := 0
	for _, name := range []string{damagedManifest, damagedCurrent} {
		content := readUsed(t, disk, name)
		for at := range content {
			for _, change := range []byte{1, 0x80, 0xff} {
				damaged := append([]byte(nil), content...)
				damaged[at] ^= change
				require.NoError(t, disk.WriteFile(name, damaged))
				state, _, err := Load(disk, testDir)
				if err == nil {
					harmless++
					require.Equal(t, want, fingerprint(state), "%s: byte %d changed by %#x", name, at, change)
					continue
				}
				requireCorrupt(t, err, name, at)
			}
		}
		require.NoError(t, disk.WriteFile(name, content))
	}
	require.Positive(t, harmless, "the last mark is of no harm")
	require.LessOrEqual(t, harmless, 3*frameHeaderBytes, "and nothing else is")
	noOpenFiles(t, disk)
}

func requireCorrupt(t *testing.T, err error, name string, at int) {
	t.Helper()
	var corrupt *errs.CorruptError
	require.ErrorAs(t, err, &corrupt, "%s: byte %d: %v", name, at, err)
	require.Equal(t, name, testDir+"/"+corrupt.File)
	require.LessOrEqual(t, corrupt.Offset, int64(at), "the offset is of the bad frame, or of a field in the header")
}

// TestEveryTruncation: a file cut inside its base is damage; behind it what is
// left is a prefix, for a cut cannot be told from a tail that was never written.
func TestEveryTruncation(t *testing.T) {
	disk, work := soundStore(t)
	whole := requireLoads(t, disk, work.model)
	content := readUsed(t, disk, damagedManifest)
	torn := 0
	for length := range content {
		require.NoError(t, disk.WriteFile(damagedManifest, content[:length]))
		state, info, err := Load(disk, testDir)
		if int64(length) < whole.BaseBytes {
			requireCorrupt(t, err, damagedManifest, length)
			continue
		}
		require.NoError(t, err, "cut to %d bytes", length)
		require.GreaterOrEqual(t, work.states[fingerprint(state)], Position(6), "the base is there")
		if info.TornOffset >= 0 {
			torn++
			require.LessOrEqual(t, info.TornOffset, int64(length))
			require.Equal(t, info.TornOffset, info.Bytes)
		}
	}
	require.Positive(t, torn)

	current := readUsed(t, disk, damagedCurrent)
	for length := range current {
		require.NoError(t, disk.WriteFile(damagedCurrent, current[:length]))
		_, _, err := Load(disk, testDir)
		requireCorrupt(t, err, damagedCurrent, length)
	}
}

// TestZeroedAndMovedSectors: lost and misdirected writes of whole sectors.
func TestZeroedAndMovedSectors(t *testing.T) {
	const sector = 512
	disk, work := soundStore(t)
	content := readUsed(t, disk, damagedManifest)
	for to := 0; to+sector <= len(content); to += sector {
		for from := -sector; from+sector <= len(content); from += sector {
			if from == to {
				continue
			}
			damaged := append([]byte(nil), content...)
			if from < 0 {
				clear(damaged[to : to+sector])
			} else {
				copy(damaged[to:to+sector], content[from:from+sector])
			}
			require.NoError(t, disk.WriteFile(damagedManifest, damaged))
			state, _, err := Load(disk, testDir)
			if err == nil { // only the last mark may be in the sector
				require.Equal(t, fingerprint(work.model), fingerprint(state))
				continue
			}
			require.ErrorIs(t, err, errs.ErrCorrupt)
		}
	}
}

// TestRotInTheLastGroupIsFound: the mark behind a group proves it, also before
// the next sync.
func TestRotInTheLastGroupIsFound(t *testing.T) {
	disk, work := newDisk(t), newWorkload(9)
	var wal fakeWAL
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(2), WaitDurable: wal.sync})
	require.NoError(t, err)
	base := requireLoads(t, disk, work.model).Bytes
	require.NoError(t, log.Sync(appendSome(log, work, 2)))
	content := readUsed(t, disk, damagedManifest)
	for at := base; at < int64(len(content))-frameHeaderBytes; at++ {
		damaged := append([]byte(nil), content...)
		damaged[at] ^= 4
		require.NoError(t, disk.WriteFile(damagedManifest, damaged))
		_, _, err := Load(disk, testDir)
		requireCorrupt(t, err, damagedManifest, int(at))
	}
	require.NoError(t, log.Close())
}

// TestAfterACleanCloseAPowerLossLeavesTheProof: the mark behind the last group was
// synced with the close, so that rot in the group is found even if the power went
// right after.
func TestAfterACleanCloseAPowerLossLeavesTheProof(t *testing.T) {
	disk, work := newDisk(t), newWorkload(9)
	var wal fakeWAL
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(2), WaitDurable: wal.sync})
	require.NoError(t, err)
	require.NoError(t, log.Sync(appendSome(log, work, 2)))
	before := requireLoads(t, disk, work.model).Bytes
	require.NoError(t, log.Sync(appendSome(log, work, 2)))
	require.NoError(t, log.Close())
	image := disk.PowerLossStrict()
	requireLoads(t, image, work.model)
	content := readUsed(t, image, damagedManifest)
	require.Less(t, before, int64(len(content))-frameHeaderBytes, "there is a last group")
	for at := before; at < int64(len(content))-frameHeaderBytes; at++ {
		damaged := append([]byte(nil), content...)
		damaged[at] ^= 4
		require.NoError(t, image.WriteFile(damagedManifest, damaged))
		_, _, err := Load(image, testDir)
		require.ErrorIs(t, err, errs.ErrCorrupt, "byte %d", at)
		requireCorrupt(t, err, damagedManifest, int(at))
	}
}

// TestTornTailWithWholeFramesBehindIt: of one unsynced group a power loss may
// keep later frames and lose earlier ones. That is no damage.
func TestTornTailWithWholeFramesBehindIt(t *testing.T) {
	disk, work := newDisk(t), newWorkload(9)
	var wal fakeWAL
	log, err := Create(disk, testDir, clone(work.model), Options{NextFile: fileNumbers(2), WaitDurable: wal.sync})
	require.NoError(t, err)
	want := clone(work.model)
	base := requireLoads(t, disk, want).Bytes
	require.NoError(t, log.Sync(appendSome(log, work, 3)))
	require.NoError(t, log.Close())
	content := readUsed(t, disk, damagedManifest)
	content = content[:len(content)-frameHeaderBytes] // the mark was not written yet
	content[base+50] ^= 1
	require.NoError(t, disk.WriteFile(damagedManifest, content))
	info := requireLoads(t, disk, want)
	require.Equal(t, base, info.TornOffset)
}

// TestFilesThatDoNotBelongTogether: whole files in the wrong place.
func TestFilesThatDoNotBelongTogether(t *testing.T) {
	disk, _ := soundStore(t)
	content := readUsed(t, disk, damagedManifest)
	sound := readUsed(t, disk, damagedCurrent)
	store := [16]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	for _, c := range []struct {
		name    string
		current string
		want    string
	}{
		{"CURRENT names a file that is not there", current{number: 3, store: store}.String(), "MANIFEST-000003: named by CURRENT, but missing"},
		{"CURRENT names a file of another number", current{number: 4, store: store}.String(), "MANIFEST-000004 at offset 16: header of manifest 2"},
		{"CURRENT belongs to another store", current{number: 2}.String(), "MANIFEST-000002 at offset 24: belongs to store"},
		{"CURRENT is empty", "", "corrupt data in CURRENT at offset 0"},
		{"CURRENT has a second line", string(sound) + "\n", "corrupt data in CURRENT at offset 0"},
		{"CURRENT is a megabyte", string(make([]byte, 1<<20)), "corrupt data in CURRENT at offset 256: too long"},
		{"CURRENT is a path", "../../etc/passwd\n", "corrupt data in CURRENT at offset 0"},
		{"CURRENT spells the number another way", signed("TINE-CURRENT 1 02 0102030405060708090a0b0c0d0e0f10 "), "not in its one spelling"},
		{"CURRENT names manifest 0", signed("TINE-CURRENT 1 0 0102030405060708090a0b0c0d0e0f10 "), "no manifest number"},
		{"CURRENT has a short store id", signed("TINE-CURRENT 1 2 01 "), "no store id"},
		{"CURRENT has a word too many", signed("TINE-CURRENT 1 2 01 02 "), "6 words instead of 5"},
		{"CURRENT has no version", signed("TINE-CURRENT x 2 01 "), "no format version"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.NoError(t, disk.WriteFile(testDir+"/MANIFEST-000004", content))
			require.NoError(t, disk.WriteFile(damagedCurrent, []byte(c.current)))
			_, _, err := Load(disk, testDir)
			require.ErrorIs(t, err, errs.ErrCorrupt)
			require.NotErrorIs(t, err, ErrNoStore)
			require.ErrorContains(t, err, c.want)
		})
	}
}

func signed(line string) string { return fmt.Sprintf("%s%016x\n", line, xxhash.Sum64String(line)) }

// TestOtherFormatsAreRefused: with a good checksum another version is no damage.
func TestOtherFormatsAreRefused(t *testing.T) {
	disk, _ := soundStore(t)
	content := readUsed(t, disk, damagedManifest)
	for version, want := range map[uint32]error{0: errs.ErrCorrupt, 1: errs.ErrOldFormat, FormatVersion - 1: errs.ErrOldFormat, FormatVersion + 1: errs.ErrNewerFormat, 1 << 31: errs.ErrNewerFormat} {
		binary.LittleEndian.PutUint32(content[headerVersionAt:], version)
		binary.LittleEndian.PutUint64(content[headerChecksumAt:], xxhash.Sum64(content[:headerChecksumAt]))
		require.NoError(t, disk.WriteFile(damagedManifest, content))
		_, _, err := Load(disk, testDir)
		require.ErrorIs(t, err, want)
	}
	require.NoError(t, disk.WriteFile(damagedCurrent, []byte(signed("TINE-CURRENT 2 anything else "))))
	_, _, err := Load(disk, testDir)
	require.ErrorIs(t, err, errs.ErrNewerFormat)

	// A vector has a version of its own.
	vector := appendAddMarks(nil, &Marks{11, 30, vectorOf(5, 1)})
	vector[1]++
	binary.LittleEndian.PutUint64(vector[len(vector)-8:], xxhash.Sum64(vector[1:len(vector)-8]))
	_, _, err = newBuilder().add(frame{kind: frameSlice, position: 5, payload: vector}).add(frame{kind: frameBase, position: 5}).load(t)
	require.ErrorIs(t, err, errs.ErrNewerFormat)
	require.NotErrorIs(t, err, errs.ErrCorrupt)
	require.ErrorContains(t, err, "MANIFEST-000002 at offset 56: payload byte 0")
}

// builder writes manifests frame by frame, also such as no log would write.
type builder struct {
	content []byte
	chain   uint64
}

func newBuilder() *builder {
	b := &builder{content: appendHeader(nil, header{number: 2, base: 5})}
	b.chain = headerChecksum(b.content)
	return b
}

func (b *builder) add(f frame) *builder {
	f.chain ^= b.chain
	b.content, b.chain = appendFrame(b.content, 2, int64(len(b.content)), f)
	return b
}

func (b *builder) load(t testing.TB) (*State, Info, error) {
	disk := crashfs.New()
	require.NoError(t, disk.WriteFile(damagedManifest, b.content))
	require.NoError(t, disk.WriteFile(damagedCurrent, []byte(current{number: 2}.String())))
	return Load(disk, testDir)
}

// TestFramesOutOfPlace: every frame here has a good checksum.
func TestFramesOutOfPlace(t *testing.T) {
	counters := appendCounters(nil, Counters{NextID: 10, NextLSN: 10})
	slice := frame{kind: frameSlice, position: 5, payload: counters}
	base := frame{kind: frameBase, position: 5}
	tail := func() *builder { return newBuilder().add(slice).add(base) }
	_, _, err := tail().add(frame{kind: frameTransaction, position: 6, payload: counters}).add(frame{kind: frameMark, position: 6}).load(t)
	require.NoError(t, err)
	for _, c := range []struct {
		name string
		b    *builder
		want string
	}{
		{"the base does not end", newBuilder().add(slice), "file ends inside the base"},
		{"the base ends twice", tail().add(base), "kind BASE is out of place"},
		{"a slice stands behind the base", tail().add(slice), "kind SLCE is out of place"},
		{"a slice stands behind a transaction", newBuilder().add(frame{kind: frameTransaction, position: 6, payload: counters}).add(frame{kind: frameSlice, position: 6, payload: counters}), "kind SLCE is out of place"},
		{"a mark stands in the base", newBuilder().add(frame{kind: frameMark, position: 5}), "kind MARK is out of place"},
		{"a mark carries a payload", tail().add(frame{kind: frameMark, position: 5, payload: counters}), "kind MARK is out of place"},
		{"the end of the base carries a payload", newBuilder().add(frame{kind: frameBase, position: 5, payload: counters}), "kind BASE is out of place"},
		{"a slice has a position of its own", newBuilder().add(frame{kind: frameSlice, position: 6, payload: counters}), "position 6 instead of 5"},
		{"a transaction is missing", tail().add(frame{kind: frameTransaction, position: 7, payload: counters}), "position 7 instead of 6"},
		{"a transaction comes twice", tail().add(frame{kind: frameTransaction, position: 6, payload: counters}).add(frame{kind: frameTransaction, position: 6, payload: counters}), "position 6 instead of 7"},
		{"a frame follows another one", tail().add(frame{kind: frameTransaction, position: 6, payload: counters, chain: 1}), "does not follow the one before it"},
		{"a frame claims more than there is", tail().add(frame{kind: frameTransaction, position: 6, payload: counters, durable: 1 << 20}), "claims that the file was synced through"},
		{"a frame claims a negative offset", tail().add(frame{kind: frameTransaction, position: 6, payload: counters, durable: -1}), "claims that the file was synced through"},
		{"a transaction cannot be decoded", tail().add(frame{kind: frameTransaction, position: 6, payload: []byte{99}}), "unknown edit kind 99"},
		{"marks contradict others", tail().add(frame{kind: frameTransaction, position: 6, payload: appendAddMarks(nil, &Marks{4, 7, vectorOf(5, 1)})}).
			add(frame{kind: frameTransaction, position: 7, payload: appendAddMarks(nil, &Marks{4, 7, vectorOf(6, 1)})}), "offset 280: node 4 marks rows of table 7 as if it had 6 rows instead of 5"},
		{"marks contradict the table that comes behind them", tail().add(frame{kind: frameTransaction, position: 6, payload: appendAddMarks(nil, &Marks{4, 7, vectorOf(6, 1)})}).
			add(frame{kind: frameTransaction, position: 7, payload: appendPutNode(appendPutTable(nil, &sstable.Meta{ID: 7, File: 8, Length: 1, Rows: 5}), &Node{ID: 4, Tables: []ids.TableID{7}})}), "node 4 marks rows of table 7 as if it had 6 rows instead of 5"},
		{"the state does not hold", newBuilder().add(frame{kind: frameSlice, position: 5, payload: appendDrop(appendPutFork(nil, &Fork{ID: 3, Name: "x", Memtable: 4}), editDropTable, 1)}).add(base), "next id is 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, err := c.b.load(t)
			require.ErrorIs(t, err, errs.ErrCorrupt)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestEndlessCandidatesFailClosed: behind a bad frame stand headers of long
// frames that are none. Hashing them all would take hours.
func TestEndlessCandidatesFailClosed(t *testing.T) {
	b := newBuilder().add(frame{kind: frameBase, position: 5})
	b.content = append(b.content, "XXXXXXXX"...)
	for len(b.content) < 4<<20 {
		b.content = append(b.content, frameTransaction...)
		b.content = binary.LittleEndian.AppendUint32(b.content, 2<<20)
	}
	_, _, err := b.load(t)
	require.ErrorIs(t, err, errs.ErrCorrupt)
	require.ErrorContains(t, err, "too many candidates")
}

// TestFileShrinksWhileItIsRead must not be taken for a torn tail.
func TestFileShrinksWhileItIsRead(t *testing.T) {
	disk, _ := soundStore(t)
	file, err := disk.Open(damagedManifest)
	require.NoError(t, err)
	w, err := newWindow(file)
	require.NoError(t, err)
	require.NoError(t, disk.WriteFile(damagedManifest, make([]byte, 10)))
	_, err = w.bytes(0, 20)
	require.Error(t, err)
	require.False(t, isBadFrame(err))
	require.NoError(t, file.Close())
}
