package vfstest

import (
	"bytes"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/stretchr/testify/require"
)

func writtenIsRead(s scene) {
	f := s.create("a", "hello")
	_, err := f.WriteAt([]byte("HE"), 0)
	require.NoError(s, err)
	_, err = f.WriteAt([]byte("!"), 5)
	require.NoError(s, err)
	require.NoError(s, f.Sync())
	requireBytes(s, f, "HEllo!")
	s.requireContent("a", "HEllo!")

	long := strings.Repeat("0123456789", 3000)
	_, err = f.WriteAt([]byte(long), 3)
	require.NoError(s, err)
	s.requireContent("a", "HEl"+long)
	part := make([]byte, 9000)
	n, err := f.ReadAt(part, 4095)
	require.NoError(s, err)
	require.Equal(s, long[4092:4092+9000], string(part[:n]))
}

func readPastEnd(s scene) {
	f := s.create("a", "hello")
	buf := make([]byte, 10)
	n, err := f.ReadAt(buf, 2)
	require.Equal(s, io.EOF, err)
	require.Equal(s, "llo", string(buf[:n]))
	for _, off := range []int64{5, 6, 1 << 40} {
		n, err = f.ReadAt(buf, off)
		require.Equal(s, io.EOF, err)
		require.Zero(s, n)
	}
	n, err = f.ReadAt(buf[:3], 2)
	require.NoError(s, err, "a read that ends at the end is whole")
	require.Equal(s, 3, n)
}

func holeIsZeros(s scene) {
	f := s.create("a", "x")
	_, err := f.WriteAt([]byte("y"), 10000)
	require.NoError(s, err)
	requireBytes(s, f, "x"+strings.Repeat("\x00", 9999)+"y")
}

func emptyTransfer(s scene) {
	f := s.create("a", "hello")
	n, err := f.WriteAt(nil, 100)
	require.NoError(s, err)
	require.Zero(s, n)
	n, err = f.ReadAt(nil, 2)
	require.NoError(s, err)
	require.Zero(s, n)
	requireBytes(s, f, "hello")
}

func negativeOffset(s scene) {
	f := s.create("a", "hello")
	_, err := f.ReadAt(make([]byte, 1), -1)
	require.Error(s, err)
	require.NotEqual(s, io.EOF, err)
	_, err = f.WriteAt([]byte("x"), -1)
	require.Error(s, err)
	require.Error(s, f.Preallocate(-1))
	requireBytes(s, f, "hello")
}

func readOnly(s scene) {
	s.create("a", "hello")
	f, err := s.fs.Open(s.path("a"))
	require.NoError(s, err)
	_, err = f.WriteAt([]byte("x"), 0)
	require.Error(s, err)
	require.Error(s, f.Preallocate(100))
	requireBytes(s, f, "hello")
	require.NoError(s, f.Close())
}

func closedFile(s scene) {
	f := s.create("a", "hello")
	require.NoError(s, f.Close())
	_, err := f.ReadAt(make([]byte, 1), 0)
	require.ErrorIs(s, err, fs.ErrClosed)
	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(s, err, fs.ErrClosed)
	_, err = f.Size()
	require.Error(s, err)
	require.ErrorIs(s, f.Sync(), fs.ErrClosed)
	require.ErrorIs(s, f.Preallocate(100), fs.ErrClosed)
	require.ErrorIs(s, f.Close(), fs.ErrClosed)
}

func preallocate(s scene) {
	f := s.create("a", "hello")
	require.NoError(s, f.Preallocate(9000))
	want := "hello" + strings.Repeat("\x00", 8995)
	requireBytes(s, f, want)
	require.NoError(s, f.Preallocate(100))
	require.NoError(s, f.Preallocate(0))
	requireBytes(s, f, want)
	_, err := f.WriteAt([]byte("there"), 5000)
	require.NoError(s, err)
	s.requireContent("a", want[:5000]+"there"+want[5005:])
}

func twoHandles(s scene) {
	f := s.create("a", "hello")
	g, err := s.fs.Open(s.path("a"))
	require.NoError(s, err)
	_, err = f.WriteAt([]byte("J"), 0)
	require.NoError(s, err)
	requireBytes(s, g, "Jello")
	require.NoError(s, f.Close())
	requireBytes(s, g, "Jello")
	require.NoError(s, g.Close())
}

func sideBySide(s scene) {
	const stripes, stripeBytes = 4, 3000
	f := s.create("a", strings.Repeat(".", stripes*stripeBytes))
	var wg sync.WaitGroup
	errs := make(chan error, 2*stripes)
	for i := range stripes {
		stripe := bytes.Repeat([]byte{byte('a' + i)}, stripeBytes)
		wg.Go(func() {
			_, err := f.WriteAt(stripe, int64(i)*stripeBytes)
			errs <- err
		})
		wg.Go(func() {
			_, err := f.ReadAt(make([]byte, stripeBytes), int64(i)*stripeBytes)
			errs <- err
		})
	}
	wg.Wait()
	for range 2 * stripes {
		require.NoError(s, <-errs)
	}
	var want strings.Builder
	for i := range stripes {
		want.WriteString(strings.Repeat(string(rune('a'+i)), stripeBytes))
	}
	requireBytes(s, f, want.String())
}

func syncReadOnly(s scene) {
	s.create("a", "hello")
	f, err := s.fs.Open(s.path("a"))
	require.NoError(s, err)
	require.NoError(s, f.Sync())
	require.NoError(s, f.Close())
}
