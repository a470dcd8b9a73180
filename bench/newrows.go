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
	at := mix(uint64(i)+uint64(version)<<40) % (uint64(len(noise)) - valueBytes)
	copy(dst[12:valueBytes/2], noise[at:])
	return dst
}

// rowOf gives row and version that newRow wrote.
func rowOf(value []byte) (i, version int) {
	return int(binary.BigEndian.Uint64(value)), int(binary.BigEndian.Uint32(value[8:]))
}

// noise is what values are cut from: so long that two of one block hardly overlap.
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
