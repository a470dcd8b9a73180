package main

import (
	"bytes"
	"testing"

	"github.com/golang/snappy"
	"github.com/stretchr/testify/require"
)

func TestHalfOfARowThatIsMadeQuicklyCompresses(t *testing.T) {
	var all, v []byte
	seen := map[string]bool{}
	for i := range 200 { // as many as a block has
		for version := range 2 {
			v = newRow(v, i, version)
			require.Len(t, v, valueBytes)
			row, ver := rowOf(v)
			require.Equal(t, []int{i, version}, []int{row, ver})
			require.Equal(t, v, newRow(nil, i, version), "a buffer that is used again changes nothing")
			require.False(t, seen[string(v[12:20])])
			seen[string(v[12:20])] = true
		}
		all = append(all, v...)
	}
	require.True(t, bytes.HasSuffix(v, bytes.Repeat([]byte{'.'}, valueBytes/2)))
	part := float64(len(snappy.Encode(nil, all))) / float64(len(all))
	require.Greater(t, part, 0.45)
	require.Less(t, part, 0.6)
}

func BenchmarkNewRow(b *testing.B) {
	var v []byte
	for i := range b.N {
		v = newRow(v, i, 0)
	}
}
