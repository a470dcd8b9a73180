package main

import (
	"encoding/binary"
	"math/rand/v2"
)

// newRow fills in row i's value in a version: as value does, half of it compresses, but
// it costs little more than to copy it. Loads that are timed use it.
func newRow(dst []byte, i, version int) []byte {
	if cap(dst) < valueBytes {
		dst = make([]byte, valueBytes)
		for j := valueBytes / 2; j < valueBytes; j++ {
			dst[j] = '.'
		}
	}
	dst = dst[:valueBytes]
	binary.BigEndian.PutUint64(dst, uint64(i))
	binary.BigEndian.PutUint32(dst[8:], uint32(version))
	seed := uint64(i)<<24 ^ uint64(version)
	for at := 12; at < valueBytes/2; at += 8 { // the last word is cut
		seed += 0x9e3779b97f4a7c15
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], mix(seed))
		copy(dst[at:valueBytes/2], word[:])
	}
	return dst
}

// rowOf gives row and version that newRow wrote.
func rowOf(value []byte) (i, version int) {
	return int(binary.BigEndian.Uint64(value)), int(binary.BigEndian.Uint32(value[8:]))
}

// noise is what long values are cut from.
var noise = func() []byte {
	out := make([]byte, 1<<20)
	r := rand.NewChaCha8([32]byte{7})
	r.Read(out)
	return out
}()

// mix scatters numbers.
func mix(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
