package sstable

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/iterator"
)

// hasLargePages tells whether the kernel says that large pages shall be used where b lies.
func hasLargePages(t *testing.T, b []byte) bool {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	f, err := os.Open("/proc/self/smaps")
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	within := false
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			within = from <= at && at < to
		}
		if flags, ok := strings.CutPrefix(lines.Text(), "VmFlags:"); ok && within {
			return slices.Contains(strings.Fields(flags), "hg")
		}
	}
	require.NoError(t, lines.Err())
	require.Fail(t, "no mapping has the address")
	return false
}

// There is more of each than could lie by chance beside what others cached.
func TestCachedBlocksAndFiltersLieInLargePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("the kernel has no large pages")
	}
	compressible := sequentialRows(60_000)
	random := sequentialRows(60_000)
	noise := rand.NewChaCha8([32]byte{})
	for i := range random {
		_, err := noise.Read(random[i].Value)
		require.NoError(t, err)
	}
	for name, rows := range map[string][]iterator.Row{"compressed blocks": compressible, "raw blocks": random} {
		t.Run(name, func(t *testing.T) {
			content, m := buildTable(t, rows, 0, WriterOptions{})
			r := mustOpen(t, content, &m, 1<<30)
			require.True(t, hasLargePages(t, r.filter.fuse.Fingerprints), "the filter")
			for number := range r.index.entries {
				b, err := r.load(number, true)
				require.NoError(t, err)
				if number%20 == 0 {
					require.True(t, hasLargePages(t, b.data), "block %d", number)
				}
			}
		})
	}
}
