package wal

import (
	"errors"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/vfs"
)

// Verify reads the log in dir as Replay does, but goes on with the next segment
// behind a fault: it calls fault for the first thing wrong with each of them,
// and fn for every record before that. It does not know what has been trimmed, so
// a log whose beginning is missing is no fault. Other errors end it and are
// returned. It changes nothing.
func Verify(fs vfs.FS, dir string, fn func(Record) error, fault func(*errs.CorruptError)) error {
	judge := func(err error) error {
		var ce *errs.CorruptError
		if errors.As(err, &ce) {
			fault(ce)
			return nil
		}
		return err
	}
	ch, err := readChain(fs, dir)
	if err != nil {
		return judge(err)
	}
	var im *image
	for i := range ch.headers {
		if err := judge(verifySegment(fs, dir, ch, i, &im, fn)); err != nil {
			return err
		}
	}
	return nil
}

// verifySegment replays segment i by itself, from the LSN that its header says
// was the last before it.
func verifySegment(fs vfs.FS, dir string, ch *chain, i int, spare **image, fn func(Record) error) error {
	h := ch.headers[i]
	im, err := openImage(fs, dir, h, ch.end(i), *spare)
	if err != nil {
		return err
	}
	defer im.close()
	*spare = im
	w := walk{image: im, header: h, last: h.prevLSN, fn: fn}
	return w.segment(ch.headers[i+1:], &Recovered{})
}
