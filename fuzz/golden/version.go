package golden

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tinedb/tine/internal/ids"
)

// Where each kind of file has its version and the checksum over it. These places
// are the same in every version of a format (see the FORMAT.md of each): that is
// what lets an old program tell a newer file from a damaged one. They are written
// out here once more, so that a program that moved them would be noticed.
const (
	manifestVersionAt = 8
	manifestSumAt     = 48

	segmentVersionAt = 8
	segmentSumAt     = 504

	footerBytes      = 128
	footerLengthAt   = 8 // of the table, in bytes
	footerVersionAt  = 104
	footerChecksumAt = 112

	currentVersionWord = 1
)

// fileKind is what has a version of its own.
type fileKind string

const (
	currentFile  fileKind = "current"
	manifestFile fileKind = "manifest"
	segmentFile  fileKind = "log"
	tableFile    fileKind = "table"
	otherFile    fileKind = ""
)

func kindOf(name string) fileKind {
	switch kind, _ := ids.ParseFileName(name); {
	case name == ids.CurrentName:
		return currentFile
	case kind == ids.FileManifest:
		return manifestFile
	case kind == ids.FileSegment:
		return segmentFile
	case kind == ids.FileTable:
		return tableFile
	}
	return otherFile
}

// Versions is the highest version of each kind of file in a store.
type Versions struct{ Current, Manifest, Log, Table int }

// String names the directory of a golden store: current1-manifest1-log3-table1.
func (v Versions) String() string {
	return fmt.Sprintf("current%d-manifest%d-log%d-table%d", v.Current, v.Manifest, v.Log, v.Table)
}

// versionsOf reads the versions off the files of a store.
func versionsOf(files Files) (Versions, error) {
	var v Versions
	for name, content := range files {
		n, err := versionOf(name, content)
		if err != nil {
			return v, fmt.Errorf("%s: %w", name, err)
		}
		switch kindOf(name) {
		case currentFile:
			v.Current = max(v.Current, n)
		case manifestFile:
			v.Manifest = max(v.Manifest, n)
		case segmentFile:
			v.Log = max(v.Log, n)
		case tableFile:
			v.Table = max(v.Table, n)
		}
	}
	return v, nil
}

// versionOf reads the version of one file; of a table file, that of its last
// table; 0 of a segment that was never used, and of files without one.
func versionOf(name string, content []byte) (int, error) {
	at := func(place int) (int, error) {
		if place < 0 || place+4 > len(content) {
			return 0, fmt.Errorf("file of %d bytes has no version", len(content))
		}
		return int(binary.LittleEndian.Uint32(content[place:])), nil
	}
	switch kindOf(name) {
	case currentFile:
		words := strings.Split(string(content), " ")
		if len(words) <= currentVersionWord {
			return 0, fmt.Errorf("no version in %q", content)
		}
		return strconv.Atoi(words[currentVersionWord])
	case manifestFile:
		return at(manifestVersionAt)
	case segmentFile:
		return at(segmentVersionAt)
	case tableFile:
		return at(len(content) - footerBytes + footerVersionAt)
	}
	return 0, nil
}

// withVersion gives a file's content with another version in it and its checksum
// made right: what a program of that version could have written, as far as this
// one can tell.
func withVersion(name string, content []byte, version int) []byte {
	b := append([]byte(nil), content...)
	le := binary.LittleEndian
	switch kindOf(name) {
	case currentFile:
		words := strings.Split(string(b), " ")
		words[currentVersionWord] = strconv.Itoa(version)
		line := strings.Join(words[:len(words)-1], " ") + " "
		return fmt.Appendf(nil, "%s%016x\n", line, xxhash.Sum64String(line))
	case manifestFile:
		le.PutUint32(b[manifestVersionAt:], uint32(version))
		le.PutUint64(b[manifestSumAt:], xxhash.Sum64(b[:manifestSumAt]))
	case segmentFile:
		le.PutUint32(b[segmentVersionAt:], uint32(version))
		le.PutUint64(b[segmentSumAt:], xxhash.Sum64(b[:segmentSumAt]))
	case tableFile:
		footer := b[len(b)-footerBytes:]
		le.PutUint32(footer[footerVersionAt:], uint32(version))
		// Behind the bytes come the table's id, which the footer begins with, and
		// the footer's offset in the table.
		place := le.AppendUint64(append([]byte(nil), footer[:8]...), le.Uint64(footer[footerLengthAt:])-footerBytes)
		sum := xxhash.New()
		_, _ = sum.Write(footer[:footerChecksumAt])
		_, _ = sum.Write(place)
		le.PutUint64(footer[footerChecksumAt:], sum.Sum64())
	}
	return b
}
