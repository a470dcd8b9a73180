package node

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// A mark stands for a value in the model: the number of the call and operation that
// wrote it. 0 is a key that is not there.
type mark uint32

// maxPadding is what values are padded with at most, so that memtables fill.
const maxPadding = 1200

// valueOf is the value that a mark stands for under a key.
func valueOf(m mark, key int) []byte {
	padding := int(xxhash.Sum64String(fmt.Sprint(m)) % maxPadding)
	v := binary.BigEndian.AppendUint32(nil, uint32(m))
	v = append(v, byte(key))
	for i := range padding {
		v = append(v, byte(int(m)+i))
	}
	return binary.BigEndian.AppendUint64(v, xxhash.Sum64(v))
}

// markOf is the mark of a value that was read under a key.
func markOf(value []byte, key int) (mark, error) {
	if len(value) < 13 {
		return 0, fmt.Errorf("the value of key %d has %d bytes", key, len(value))
	}
	m := mark(binary.BigEndian.Uint32(value))
	if m == 0 || string(valueOf(m, key)) != string(value) {
		return 0, fmt.Errorf("key %d: the value of call %d is not what that wrote there", key, m)
	}
	return m, nil
}
