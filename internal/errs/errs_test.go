package errs

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestACorruptErrorSaysWhatWhereAndWhom(t *testing.T) {
	e := Corruptf("000007.sst", 42, "checksum: %w", io.ErrUnexpectedEOF)
	require.EqualError(t, e, "corrupt data in 000007.sst at offset 42: checksum: unexpected EOF")
	require.ErrorIs(t, fmt.Errorf("get: %w", e), ErrCorrupt)
	require.ErrorIs(t, e, io.ErrUnexpectedEOF)
	e.Offset, e.Forks = -1, []string{"a", "b"}
	require.EqualError(t, e, "corrupt data in 000007.sst: checksum: unexpected EOF (forks hit: a, b)")
	for i := range 1000 {
		e.Forks = append(e.Forks, fmt.Sprint(i))
	}
	require.ErrorContains(t, e, "(forks hit: a, b, 0, 1, 2, 3, 4, 5 and 994 more)")
}

func TestAFullDiskIsKnownInEveryForm(t *testing.T) {
	for _, err := range []error{ErrNoSpace, syscall.ENOSPC, syscall.EDQUOT, fmt.Errorf("write: %w", syscall.ENOSPC)} {
		require.True(t, IsNoSpace(err), "%v", err)
	}
	require.False(t, IsNoSpace(errors.New("no space left on device")))
	require.False(t, IsNoSpace(syscall.EIO))
}
