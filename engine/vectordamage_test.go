package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs/crashfs"
	"github.com/tinedb/tine/manifest"
)

// Apache Doris 41309: a bitmap that could not be had was taken for one in which
// nothing is dead, and deleted rows came back. Here each byte of each stored vector is
// damaged, under a checksum of the manifest that was made before, as by a disk, and
// under one that was made after, as by memory. Nobody gets a store then.
func TestAVectorThatCannotBeReadIsNotAnEmptyOne(t *testing.T) {
	m := newMarking(t, 8<<10)
	m.layer(MainFork, "abcdef")
	m.makeFork(MainFork, "whole")
	m.delete(MainFork, "ace")
	m.flush()
	m.deleteRange("whole", "a", "z")
	m.flush()
	for _, when := range []string{"in a transaction", "in the base"} {
		require.Len(t, m.vectors(m.s), 2)
		var stored [][]byte
		m.s.man.View(func(st *manifest.State) {
			for k, v := range st.Marks {
				stored = append(stored, v.AppendTo(nil, k.Node, k.Table))
			}
		})
		require.NoError(t, m.s.Close())
		name, content := manifestOf(t, m.disk)
		for _, vector := range stored {
			begin := bytes.Index(content, vector)
			require.Positive(t, begin, "%s: the vector is stored as it is", when)
			for i := range vector {
				for _, sealed := range []bool{false, true} {
					damaged := slices.Clone(content)
					damaged[begin+i] ^= 1 << (i % 8)
					if sealed {
						reseal(name, damaged)
					}
					requireRefused(t, m.disk, name, damaged, fmt.Sprintf("%s: byte %d of %d, sealed %v", when, i, len(vector), sealed))
				}
			}
		}
		m.open(8 << 10)
		m.sound()
	}
}

// requireRefused makes sure that nobody opens the store with these bytes for its
// manifest, and that the quickest check tells why.
func requireRefused(t *testing.T, disk *crashfs.FS, name string, damaged []byte, what string) {
	t.Helper()
	image := disk.AfterKill()
	require.NoError(t, image.WriteFile(name, damaged))
	for _, readOnly := range []bool{false, true} {
		s, err := Open("/db", &Options{FS: image, Manual: true, ReadOnly: readOnly})
		if err == nil {
			_ = s.Close()
		}
		require.ErrorIs(t, err, ErrCorrupt, what)
		var corrupt *errs.CorruptError
		require.True(t, errors.As(err, &corrupt))
		require.Equal(t, path.Base(name), path.Base(corrupt.File))
	}
	report, err := Check("/db", CheckOptions{FS: image, Level: CheckQuick})
	require.NoError(t, err)
	require.False(t, report.OK(), what)
	require.Equal(t, path.Base(name), path.Base(report.Problems[0].File))
}

func manifestOf(t *testing.T, disk *crashfs.FS) (name string, content []byte) {
	t.Helper()
	for _, n := range disk.Names() {
		if strings.HasPrefix(path.Base(n), "MANIFEST-") {
			require.Empty(t, name)
			name = n
		}
	}
	content, err := disk.ReadFile(name)
	require.NoError(t, err)
	return name, content
}

// A manifest is a header and frames, each of a header, a payload and zeros up to a
// multiple of eight; see the format page of its package.
const manifestHeader, frameHeader = 56, 40

// manifestFrames gives where the frames of a manifest begin.
func manifestFrames(content []byte) (at []int) {
	for next := manifestHeader; next+frameHeader <= len(content) && content[next] != 0; {
		at = append(at, next)
		next += frameHeader + int(binary.LittleEndian.Uint32(content[next+4:])+7)/8*8
	}
	return at
}

// reseal makes the chain of checksums of a manifest's frames right again.
func reseal(name string, content []byte) {
	_, number := ids.ParseFileName(path.Base(name))
	le := binary.LittleEndian
	chain := le.Uint64(content[manifestHeader-8:])
	for _, at := range manifestFrames(content) {
		frame := content[at:]
		frame = frame[:frameHeader+int(le.Uint32(frame[4:])+7)/8*8]
		le.PutUint64(frame[16:], chain)
		var place [16]byte
		le.PutUint64(place[0:], uint64(number))
		le.PutUint64(place[8:], uint64(at))
		chain = xxhash.Sum64(slices.Concat(place[:], frame[:32], frame[frameHeader:]))
		le.PutUint64(frame[32:], chain)
	}
}
