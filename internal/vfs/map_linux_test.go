package vfs_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tinedb/tine/internal/vfs"
)

// mappedFile makes a preallocated file and maps it.
func mappedFile(t *testing.T, name string, size int64) vfs.File {
	f, err := vfs.OS.Create(name)
	require.NoError(t, err)
	t.Cleanup(func() { _ = f.Close() })
	require.NoError(t, f.Preallocate(size))
	f.Map(size)
	return f
}

// writeCalls is how many calls that write this process has made.
func writeCalls(t *testing.T) (n uint64) {
	b, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Skip("the system does not count calls:", err)
	}
	_, after, found := bytes.Cut(b, []byte("syscw: "))
	require.True(t, found)
	for _, c := range after {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + uint64(c-'0')
	}
	return n
}

func TestSmallWritesToAMappedFileAreNoCalls(t *testing.T) {
	const writes, size = 2000, 1 << 20
	f := mappedFile(t, filepath.Join(t.TempDir(), "a"), size)
	record := bytes.Repeat([]byte("r"), 200)
	before := writeCalls(t)
	for i := range int64(writes) {
		_, err := f.WriteAt(record, i*200)
		require.NoError(t, err)
	}
	require.Less(t, writeCalls(t)-before, uint64(writes/4))

	before = writeCalls(t)
	long := make([]byte, 3<<10)
	for range writes {
		_, err := f.WriteAt(long, 0)
		require.NoError(t, err)
	}
	require.GreaterOrEqual(t, writeCalls(t)-before, uint64(writes), "long writes are cheaper as calls")
}

// TestWhatWasStoredSurvivesTheProcess lets a child number the places of a file, one
// after the other, each told only when it is written, and kills it.
func TestWhatWasStoredSurvivesTheProcess(t *testing.T) {
	const size = 1 << 20
	if name := os.Getenv("VFS_TEST_MAPPED"); name != "" {
		f := mappedFile(t, name, size)
		for i := uint64(0); ; i = (i + 1) % (size / 8) {
			b := binary.LittleEndian.AppendUint64(nil, i+1)
			if _, err := f.WriteAt(b, int64(8*i)); err != nil {
				os.Exit(1)
			}
			if _, err := os.Stdout.Write(b); err != nil {
				os.Exit(1)
			}
		}
	}
	name := filepath.Join(t.TempDir(), "a")
	child := exec.Command(os.Args[0], "-test.run=^TestWhatWasStoredSurvivesTheProcess$")
	child.Env = append(os.Environ(), "VFS_TEST_MAPPED="+name)
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	told := make([]byte, 8*5000)
	_, err = io.ReadFull(out, told)
	require.NoError(t, err)
	require.NoError(t, child.Process.Kill())
	rest, err := io.ReadAll(out)
	require.NoError(t, err)
	_ = child.Wait()
	told = append(told, rest[:len(rest)&^7]...)
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, told, got[:len(told)])
}

// TestAMappedFileThatIsCutShortIsWrittenAllTheSame takes the pages away behind the
// store's back. Without care the signal would end this process.
func TestAMappedFileThatIsCutShortIsWrittenAllTheSame(t *testing.T) {
	name := filepath.Join(t.TempDir(), "a")
	f := mappedFile(t, name, 64<<10)
	for _, at := range []int64{100, 5000} {
		_, err := f.WriteAt([]byte("hello"), at)
		require.NoError(t, err)
	}
	require.NoError(t, os.Truncate(name, 0))
	n, err := f.WriteAt([]byte("there"), 5000)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	got, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, append(make([]byte, 5000), "there"...), got)
}

func BenchmarkSmallWrites(b *testing.B) {
	for _, mapped := range []bool{false, true} {
		b.Run(map[bool]string{false: "calls", true: "stores"}[mapped], func(b *testing.B) {
			const size = 16 << 20
			f, err := vfs.OS.Create(filepath.Join(b.TempDir(), "a"))
			require.NoError(b, err)
			defer f.Close()
			require.NoError(b, f.Preallocate(size))
			if mapped {
				f.Map(size)
			}
			record := make([]byte, 64)
			b.ResetTimer()
			for i := range b.N {
				if _, err := f.WriteAt(record, int64(i)*64%size); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
