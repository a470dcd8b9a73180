package damage

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/tinedb/tine/internal/ids"
)

// EveryFile damages files as a whole: one is gone, empty, holds what another
// holds, is there twice, or is an older version of itself.
func (s *Specimen) EveryFile() iter.Seq[Case] {
	return func(yield func(Case) bool) {
		emit := func(c Case) bool { return !c.changes(s.files) || yield(c) }
		for _, name := range s.names() {
			if !emit(one("missing", name, name, nil)) || !emit(one("empty", name, name, []byte{})) ||
				!s.instead(name, emit) || !s.twice(name, emit) {
				return
			}
		}
		s.stale(emit)
	}
}

// names gives the files, sorted.
func (s *Specimen) names() []string { return slices.Sorted(maps.Keys(s.files)) }

// instead puts another file's content in place of a file's, for all pairs, and
// exchanges the two where they are of one kind.
func (s *Specimen) instead(name string, yield func(Case) bool) bool {
	for _, other := range s.names() {
		if other == name {
			continue
		}
		if !yield(one("holds another file", fmt.Sprintf("%s in place of %s", other, name), name, s.files[other])) {
			return false
		}
		if other > name && kindOf(other) == kindOf(name) {
			c := Case{Damage: "files exchanged", Target: name, Where: name + " and " + other,
				Files: map[string][]byte{name: s.files[other], other: s.files[name]}}
			if !yield(c) {
				return false
			}
		}
	}
	return true
}

// twice puts a file under a second name that a file of the store may have: small
// and great numbers, and those that will be given out next.
func (s *Specimen) twice(name string, yield func(Case) bool) bool {
	kind, own := ids.ParseFileName(name)
	var as []string
	switch kind {
	case ids.FileOther:
		as = []string{ids.CurrentName + ".tmp", ids.CurrentName + "~"}
	default:
		for _, number := range []ids.FileNum{1, own - 1, own + 1, own + 3, 1 << 17, 1 << 40} {
			as = append(as, nameOf(kind, number))
		}
		for next := s.next; next < s.next+12; next++ {
			as = append(as, nameOf(kind, ids.FileNum(next)))
		}
	}
	for _, second := range as {
		if _, taken := s.files[second]; taken {
			continue
		}
		if !yield(one("there twice", fmt.Sprintf("%s also as %s", name, second), second, s.files[name])) {
			return false
		}
	}
	return true
}

func nameOf(kind ids.FileKind, number ids.FileNum) string {
	switch kind {
	case ids.FileManifest:
		return ids.ManifestName(number)
	case ids.FileSegment:
		return ids.SegmentName(number)
	}
	return ids.TableFileName(number)
}

// stale brings files of earlier moments back: each alone, and CURRENT together
// with the manifest that it named.
func (s *Specimen) stale(yield func(Case) bool) bool {
	for moment, files := range s.earlier {
		together := map[string][]byte{}
		for _, name := range slices.Sorted(maps.Keys(files)) {
			damage := "older version is back"
			if _, exists := s.files[name]; !exists {
				damage = "removed file is back"
			}
			if !yield(one(damage, fmt.Sprintf("%s of moment %d", name, moment), name, files[name])) {
				return false
			}
			if kindOf(name) == "CURRENT" || kindOf(name) == "manifest" {
				together[name] = files[name]
			}
		}
		c := Case{Damage: "older manifest and CURRENT are back", Target: ids.CurrentName, Where: fmt.Sprintf("moment %d", moment), Files: together}
		if !yield(c) {
			return false
		}
	}
	return true
}
