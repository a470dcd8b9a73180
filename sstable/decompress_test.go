package sstable

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/require"
)

// A small block may claim to decompress to gigabytes. The index, which is capped,
// says how large it can be: nothing is decompressed that claims anything else.
func TestABlockIsAsLargeAsTheIndexSays(t *testing.T) {
	m := &Meta{ID: 7, File: 9, Offset: 100, Length: 1000}
	raw := bytes.Repeat([]byte("tine"), 100)
	packed := snappy.Encode(nil, raw)
	huge := append(binary.AppendUvarint(nil, 1<<31), packed...)
	for _, c := range []struct {
		name     string
		stored   []byte
		codec    codec
		rawBytes int
		want     string // the error, empty if there is none
	}{
		{"a packed block of the right size is unpacked", packed, codecSnappy, len(raw), ""},
		{"a raw block of the right size is taken as it is", raw, codecRaw, len(raw), ""},
		{"a packed block that is smaller", packed, codecSnappy, len(raw) + 1, "decompresses to 400 bytes, the index says 401"},
		{"a packed block that is larger", packed, codecSnappy, len(raw) - 1, "decompresses to 400 bytes, the index says 399"},
		{"a packed block that claims to be huge", huge, codecSnappy, len(raw), "decompresses to 2147483648 bytes, the index says 400"},
		{"a raw block of another size", raw, codecRaw, len(raw) - 1, "block has 400 bytes, the index says 399"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := decompress(m, 5, c.stored, c.codec, c.rawBytes, passing)
			if c.want == "" {
				require.NoError(t, err)
				require.Equal(t, raw, got)
				return
			}
			requireCorrupt(t, m, err)
			require.ErrorContains(t, err, c.want)
		})
	}
}
