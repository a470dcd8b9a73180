package ops

import (
	"fmt"
	"hash/fnv"
	"strings"
)

// Value is what operation n writes under key in fork: a text that says just
// that, padded to about size bytes, and a checksum over all of it. A value found
// where it should not be so names where it came from, and a value that was
// damaged or put together from two says that too. Size 0 gives the empty value.
func Value(fork string, n int, key string, size int) string {
	if size <= 0 {
		return ""
	}
	head := fmt.Sprintf("fork %s op %d key %q ", fork, n, key)
	pad := size - len(head) - len(" sum 0123456789abcdef")
	if pad > 0 {
		head += padding(pad, head)
	}
	return fmt.Sprintf("%s sum %016x", head, sum(head))
}

// Intact tells whether value is one that Value made, whole.
func Intact(value string) bool {
	if value == "" {
		return true
	}
	at := strings.LastIndex(value, " sum ")
	return at >= 0 && value[at:] == fmt.Sprintf(" sum %016x", sum(value[:at]))
}

// padding is bytes that compress for half of all values and do not for the rest,
// so that both kinds of block are met.
func padding(length int, head string) string {
	x := sum(head)
	if x%2 == 0 {
		return strings.Repeat(".", length)
	}
	pad := make([]byte, length)
	for i := range pad {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		pad[i] = '!' + byte(x%90)
	}
	return string(pad)
}

func sum(text string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(text))
	return h.Sum64()
}
