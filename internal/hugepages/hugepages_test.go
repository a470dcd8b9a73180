package hugepages

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEachPageIsToldOnce(t *testing.T) {
	var told []uintptr
	l := list{advise: func(at, bytes uintptr) bool {
		require.EqualValues(t, pageBytes, bytes)
		told = append(told, at/pageBytes)
		return true
	}}
	l.tell(5*pageBytes+100, 16<<10)
	l.tell(5*pageBytes+20<<10, 16<<10)
	require.Equal(t, []uintptr{5}, told, "two blocks in one page")
	l.tell(6*pageBytes-1, 2)
	require.Equal(t, []uintptr{5, 6}, told, "a block over a border is in both pages")
	l.tell(8*pageBytes-1, 1)
	require.Equal(t, []uintptr{5, 6, 7}, told, "the last byte of a page is in that page alone")
	l.tell(8*pageBytes, 2*pageBytes)
	require.Equal(t, []uintptr{5, 6, 7, 8, 9}, told, "a block of whole pages")
}

func TestASystemWithoutLargePagesIsAskedOnce(t *testing.T) {
	asked := 0
	l := list{advise: func(uintptr, uintptr) bool { asked++; return false }}
	l.tell(pageBytes, 3*pageBytes)
	l.tell(9*pageBytes, 1)
	require.Equal(t, 1, asked)
}

func TestNoBytesLieNowhere(t *testing.T) {
	Prefer(nil)
	Prefer([]byte{})
}

func TestAProcessIsNotCutIntoMoreMappingsThanItMayHave(t *testing.T) {
	asked := 0
	l := list{advise: func(uintptr, uintptr) bool { asked++; return true }}
	for n := range uintptr(2 * maxTold) {
		l.tell(2*n*pageBytes, 1)
	}
	require.Equal(t, maxTold, asked)
}
