package manifest

import (
	"errors"
	"io"

	"github.com/tinedb/tine/internal/vfs"
)

// windowBytes is how much of a file is read at once: frames are small, and one
// call to the operating system for each would cost more than decoding it.
const windowBytes = 256 << 10

// window reads a file front to back through a buffer. It never holds more than
// windowBytes or the longest range asked for. It is not safe for concurrent
// use.
type window struct {
	file vfs.File
	size int64

	begin int64 // offset of buf[0]
	buf   []byte
}

// newWindow reads file, whose length it asks for once.
func newWindow(file vfs.File) (*window, error) {
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	return &window{file: file, size: size}, nil
}

// bytes returns n bytes from offset; the range must lie inside the file. The
// result is valid until the next call. A file that has become shorter gives
// io.ErrUnexpectedEOF.
func (w *window) bytes(offset int64, n int) ([]byte, error) {
	if offset >= w.begin && offset+int64(n) <= w.begin+int64(len(w.buf)) {
		at := int(offset - w.begin)
		return w.buf[at : at+n : at+n], nil
	}
	want := int(min(w.size-offset, int64(max(n, windowBytes))))
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	w.begin, w.buf = offset, w.buf[:want]
	got, err := w.file.ReadAt(w.buf, offset)
	w.buf = w.buf[:got]
	if got >= n {
		return w.buf[:n:n], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// zero tells whether only zeros follow from offset on.
func (w *window) zero(offset int64) (bool, error) {
	for offset < w.size {
		b, err := w.bytes(offset, int(min(w.size-offset, 4<<10)))
		if err != nil {
			return false, err
		}
		for _, c := range b {
			if c != 0 {
				return false, nil
			}
		}
		offset += int64(len(b))
	}
	return true, nil
}
