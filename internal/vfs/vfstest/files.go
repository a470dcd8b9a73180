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

func mapped(s scene) {
	const size = 3*4096 + 100
	f := s.create("a", "hello")
	require.NoError(s, f.Preallocate(size))
	f.Map(size)
	want := []byte("hello" + strings.Repeat("\x00", size-5))
	write := func(length, at int) {
		p := bytes.Repeat([]byte{byte('a' + at%26)}, length)
		n, err := f.WriteAt(p, int64(at))
		require.NoError(s, err)
		require.Equal(s, length, n)
		want = append(want[:at], append(p, want[min(at+length, len(want)):]...)...)
	}
	write(1, 0)
	write(100, 4050) // over the end of a page
	write(6000, 4100)
	write(7, 5000)
	write(0, size)
	write(60, size-60)
	requireBytes(s, f, string(want))
	write(60, size-20) // over the end of what is mapped
	write(5, size+200-160)
	require.NoError(s, f.Sync())
	requireBytes(s, f, string(want))
	s.requireContent("a", string(want))
	_, err := f.WriteAt([]byte("x"), -1)
	require.Error(s, err)
	f.Map(size)
	write(3, 9)
	require.NoError(s, f.Close())
	_, err = f.WriteAt([]byte("x"), 0)
	require.ErrorIs(s, err, fs.ErrClosed)
	s.requireContent("a", string(want))
}

func mappedAndClosed(s scene) {
	const size = 64 << 10
	f := s.create("a", "")
	require.NoError(s, f.Preallocate(size))
	f.Map(size)
	var wg sync.WaitGroup
	begun := make(chan struct{}, 4)
	for i := range 4 {
		wg.Go(func() {
			for at := int64(i) * size / 4; ; at = (at + 100) % (size - 10) {
				if _, err := f.WriteAt([]byte("0123456789"), at); err != nil {
					require.ErrorIs(s, err, fs.ErrClosed)
					return
				}
				select {
				case begun <- struct{}{}:
				default:
				}
			}
		})
	}
	for range 4 {
		<-begun
	}
	require.NoError(s, f.Close())
	wg.Wait()
}

func mappedTooFar(s scene) {
	f := s.create("a", "hello")
	f.Map(1 << 20)
	f.Map(0)
	f.Map(-1)
	_, err := f.WriteAt([]byte("there"), 5)
	require.NoError(s, err)
	_, err = f.WriteAt([]byte("again"), 5000)
	require.NoError(s, err)
	requireBytes(s, f, "hellothere"+strings.Repeat("\x00", 4990)+"again")
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
