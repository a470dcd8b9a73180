package wal

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/tinedb/tine/internal/errs"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/iterator"
	"github.com/tinedb/tine/internal/vfs"
)

// Dump prints the log in dir: a line for each segment, record, sync mark, torn
// tail and leftover file. Damage is printed where it is met and returned; as
// far as the log can be read before it, it is printed. It changes nothing.
func Dump(w io.Writer, fs vfs.FS, dir string) error {
	out := bufio.NewWriter(w)
	err := dump(out, fs, dir)
	if err != nil {
		fmt.Fprintf(out, "damage: %v\n", err)
	}
	if flushErr := out.Flush(); err == nil && flushErr != nil {
		err = fmt.Errorf("wal: dump: %w", flushErr)
	}
	return err
}

func dump(out io.Writer, fs vfs.FS, dir string) error {
	ch, err := readChain(fs, dir)
	if err != nil {
		return err
	}
	rec := &Recovered{}
	for i, h := range ch.headers {
		name := ids.SegmentName(h.number)
		fmt.Fprintf(out, "%s segment %d, %d bytes, from LSN %d", name, h.ordinal, h.fileBytes, h.firstLSN)
		if h.previous != 0 {
			fmt.Fprintf(out, ", after %s up to offset %d, LSN %d", ids.SegmentName(h.previous), h.prevEnd, h.prevLSN)
		}
		fmt.Fprintln(out)
		if i == 0 {
			rec.Last = h.prevLSN
		}
		if err := dumpSegment(out, fs, dir, ch, i, rec); err != nil {
			return err
		}
	}
	if rec.Torn {
		fmt.Fprintf(out, "%s %d torn tail\n", rec.TornFile, rec.TornOffset)
	}
	for _, number := range ch.leftover {
		fmt.Fprintf(out, "%s leftover\n", ids.SegmentName(number))
	}
	return nil
}

// dumpSegment prints segment i, and replays it to nowhere.
func dumpSegment(out io.Writer, fs vfs.FS, dir string, ch *chain, i int, rec *Recovered) error {
	h := ch.headers[i]
	im, err := openImage(fs, dir, h, ch.end(i), nil)
	if err != nil {
		return err
	}
	defer im.close()
	later := ch.headers[i+1:]
	if err := dumpFrames(out, im); err != nil && (len(later) > 0 || !errors.Is(err, errNoFrame)) {
		return err
	}
	w := walk{image: im, header: h, last: rec.Last, fn: func(r Record) error {
		_, err := summary(r.Kind, r.Payload)
		return err
	}}
	err = w.segment(later, rec)
	rec.Last = w.last
	return err
}

// dumpFrames prints the frames up to the image's end, or to the first that is none.
func dumpFrames(out io.Writer, im *image) error {
	for at := int64(headerBytes); at < im.end; {
		f, err := im.next(at)
		if failed := (*readError)(nil); errors.As(err, &failed) {
			return failed.err
		}
		if err != nil {
			return &errs.CorruptError{File: im.name, Offset: at, Err: err}
		}
		fmt.Fprintf(out, "%s %d lsn %d %v ", im.name, f.offset, f.lsn, f.kind)
		if f.kind == kindMark {
			fmt.Fprintf(out, "durable through %d, after %d\n", f.mark.through, f.mark.previous)
		} else if text, err := summary(f.kind, f.payload); err != nil {
			fmt.Fprintf(out, "%v\n", err)
		} else {
			fmt.Fprintf(out, "%s\n", text)
		}
		at = f.end
	}
	return nil
}

// summary decodes a payload into one line.
func summary(kind Kind, payload []byte) (string, error) {
	switch kind {
	case KindBatch:
		parts, err := DecodeBatch(payload)
		if err != nil {
			return "", err
		}
		text := fmt.Sprintf("%d parts", len(parts))
		for _, p := range parts {
			text += fmt.Sprintf("; fork %d memtable %d: %s", p.Fork, p.Memtable, summarizeOps(p.Ops, p.Count))
		}
		return text, nil
	case KindNodeImage:
		n, err := DecodeNodeImage(payload)
		return fmt.Sprintf("node %d over %d: %s", n.Node, n.Older, summarizeOps(n.Ops, n.Count)), err
	case KindFork:
		return summarize(DecodeFork(payload))
	case KindSnapshot:
		return summarize(DecodeSnapshot(payload))
	case KindDrop:
		return summarize(DecodeDrop(payload))
	case KindDropSnapshot:
		return summarize(DecodeDropSnapshot(payload))
	case KindRename:
		return summarize(DecodeRename(payload))
	case KindRenameSnapshot:
		return summarize(DecodeRenameSnapshot(payload))
	case KindReset:
		return summarize(DecodeReset(payload))
	case KindFreeze:
		return summarize(DecodeFreeze(payload))
	case KindForkMany:
		f, err := DecodeForkMany(payload)
		return summarizeForks(f), err
	case KindDropMany:
		d, err := DecodeDropMany(payload)
		return summarizeDrops(d), err
	}
	return "", badPayload("record of unknown kind %d", kind)
}

func summarize[T any](payload T, err error) (string, error) {
	return fmt.Sprintf("%+v", payload), err
}

// summarizeForks names the first and the last fork and counts them.
func summarizeForks(f ForkMany) string {
	text := fmt.Sprintf("%d forks of %d, from snapshot %d, top %d, %+v", len(f.Names), f.Parent, f.FromSnapshot, f.Top, f.Freeze)
	if last := len(f.Names) - 1; last >= 0 {
		text += fmt.Sprintf(", from fork %d %q to fork %d %q", f.Child(0), f.Names[0], f.Child(last), f.Names[last])
	}
	return text
}

// summarizeDrops gives the first and the last fork and counts them.
func summarizeDrops(d DropMany) string {
	text := fmt.Sprintf("%d forks", len(d.Forks))
	if last := len(d.Forks) - 1; last >= 0 {
		text += fmt.Sprintf(", from fork %d to fork %d", d.Forks[0], d.Forks[last])
	}
	return text
}

// shownKeyBytes is how much of a key a summary shows.
const shownKeyBytes = 32

// summarizeOps names the first operation and counts the rest.
func summarizeOps(ops []byte, count uint32) string {
	r := NewOpReader(ops)
	kind, key, value, ok := r.Next()
	if !ok {
		return "nothing"
	}
	first := ""
	switch kind {
	case iterator.Set:
		first = fmt.Sprintf("set %.*q (%d bytes)", shownKeyBytes, key, len(value))
	case iterator.Tombstone:
		first = fmt.Sprintf("delete %.*q", shownKeyBytes, key)
	case iterator.RangeDelete:
		from, to := "the first key", "the last"
		if len(key) > 0 {
			from = fmt.Sprintf("%.*q", shownKeyBytes, key)
		}
		if len(value) > 0 {
			to = fmt.Sprintf("%.*q", shownKeyBytes, value)
		}
		first = "delete range from " + from + " to " + to
	}
	return fmt.Sprintf("%d ops, %d bytes, first %s", count, len(ops), first)
}
