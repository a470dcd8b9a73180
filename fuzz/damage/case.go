package damage

import (
	"bytes"
	"maps"
	"slices"

	"github.com/tinedb/tine/internal/ids"
)

// Case is one damage to one store: what some of its files hold instead of what
// they held.
type Case struct {
	Damage string            // what was done, in a few words that cases share
	Where  string            // to which bytes
	Target string            // the file that it is about
	Files  map[string][]byte // new contents by name; nil: the file is gone
}

// one makes a case of a single file.
func one(damage, where, name string, after []byte) Case {
	return Case{Damage: damage, Where: where, Target: name, Files: map[string][]byte{name: after}}
}

// changes tells whether the case changes anything at all.
func (c Case) changes(before map[string][]byte) bool {
	for name, after := range c.Files {
		old, exists := before[name]
		if exists != (after != nil) || !bytes.Equal(old, after) {
			return true
		}
	}
	return false
}

// names gives the files that the case touches.
func (c Case) names() []string { return slices.Sorted(maps.Keys(c.Files)) }

// kindOf tells what a file is for.
func kindOf(name string) string {
	switch kind, _ := ids.ParseFileName(name); kind {
	case ids.FileManifest:
		return "manifest"
	case ids.FileSegment:
		return "segment"
	case ids.FileTable:
		return "table"
	}
	return name // CURRENT, LOCK
}
