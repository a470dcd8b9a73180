package manifest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/vfs/crashfs"
)

func golden(f *testing.F, name string) []byte {
	content, err := os.ReadFile(filepath.Join(goldenDir, name))
	require.NoError(f, err)
	return content
}

// requireSoundOrRefused holds what Load may answer to any bytes.
func requireSoundOrRefused(t *testing.T, state *State, err error) {
	if err == nil {
		require.NoError(t, state.Check())
		for k, v := range state.Marks {
			require.Contains(t, state.Nodes, k.Node)
			require.Equal(t, state.Tables[k.Table].Rows, v.Rows())
			require.Equal(t, v.Dead(), v.Bitmap().GetCardinality())
		}
		return
	}
	require.True(t, errors.Is(err, errs.ErrCorrupt) || errors.Is(err, errs.ErrNewerFormat) || errors.Is(err, errs.ErrOldFormat), "%v", err)
}

// FuzzDecodeTransaction: what is accepted has exactly one spelling.
func FuzzDecodeTransaction(f *testing.F) {
	f.Add(fullTransaction().appendPayload(nil))
	f.Add((&Transaction{Counters: &Counters{NextID: 1}}).appendPayload(nil))
	f.Add((&Transaction{AddMarks: []Marks{{1, 2, vectorOf(9, 1, 3, 5)}, {1, 2, vectorOf(8, 1)}}, DropMarks: []MarksKey{{1, 2}}}).appendPayload(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		tx, err := decodeTransaction(payload)
		if err != nil {
			return
		}
		require.Equal(t, len(payload), tx.payloadBytes())
		require.Equal(t, string(payload), string(tx.appendPayload(nil)))
		state := NewState()
		if state.admits(tx) != nil {
			return
		}
		state.Apply(tx)
		_ = state.Check()
	})
}

// FuzzLoad opens a mutated manifest.
func FuzzLoad(f *testing.F) {
	sound := golden(f, "MANIFEST-000007")
	pointer := golden(f, "CURRENT")
	f.Add(sound)
	f.Add(sound[:len(sound)-50])
	f.Add(sound[:headerBytes])
	f.Fuzz(func(t *testing.T, content []byte) {
		disk := crashfs.New()
		require.NoError(t, disk.WriteFile(testDir+"/MANIFEST-000007", content))
		require.NoError(t, disk.WriteFile(testDir+"/CURRENT", pointer))
		state, _, err := Load(disk, testDir)
		requireSoundOrRefused(t, state, err)
		require.Zero(t, disk.OpenFiles())
	})
}

// FuzzFrames opens manifests whose checksums are right and whose frames are
// anything: per frame two bytes of kind and position, two of payload length,
// then the payload.
func FuzzFrames(f *testing.F) {
	kinds := []frameKind{frameSlice, frameTransaction, frameBase, frameMark}
	full := fullTransaction().appendPayload(nil)
	seed := binary.LittleEndian.AppendUint16([]byte{0, 0}, uint16(len(full)))
	seed = append(append(seed, full...), 2, 0, 0, 0)
	f.Add(seed)
	marks := appendAddMarks(appendAddMarks(nil, &Marks{4, 20, vectorOf(3, 1)}), &Marks{4, 20, vectorOf(4, 1)})
	f.Add(append(append(bytes.Clone(seed), 1, 1, byte(len(marks)), 0), marks...))
	f.Add([]byte{2, 0, 0, 0, 1, 1, 9, 0, editDropNode, 1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		b, position := newBuilder(), Position(5)
		for len(script) >= 4 {
			length := min(int(binary.LittleEndian.Uint16(script[2:])), len(script)-4)
			position += Position(script[1])
			b.add(frame{kind: kinds[script[0]%4], position: position, payload: script[4 : 4+length]})
			script = script[4+length:]
		}
		b.content = append(b.content, script...)
		state, _, err := b.load(t)
		requireSoundOrRefused(t, state, err)
	})
}

// FuzzCurrent: what is accepted has exactly one spelling.
func FuzzCurrent(f *testing.F) {
	f.Add(string(golden(f, "CURRENT")))
	f.Add(signed("TINE-CURRENT 2 x "))
	f.Add("")
	f.Fuzz(func(t *testing.T, content string) {
		c, err := parseCurrent(content)
		if err != nil {
			require.True(t, errors.Is(err, errs.ErrCorrupt) || errors.Is(err, errs.ErrNewerFormat))
			return
		}
		require.Equal(t, content, c.String())
	})
}
