package forktree

import (
	"slices"

	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/sstable"
)

// beginRelocation copies live tables of some file, sparse or not, to a new file, and
// moves them there in one or several steps. It claims nothing: jobs and views go on.
func (s *protocolStore) beginRelocation() {
	tables := s.tree.Sparse(s.chance(50), 1<<30, 1<<10)
	if len(tables) > 0 {
		s.saw("sparse file")
	} else {
		for _, tb := range s.tree.Tables() {
			if tb.held > 0 && tb.file.pins == 0 && (len(tables) == 0 || tables[0].file == tb.file) && s.chance(70) {
				tables = append(tables, tb)
			}
		}
	}
	if len(tables) == 0 {
		return
	}
	var sources []ids.FileNum
	for _, tb := range tables {
		if num := tb.Place.Meta().File; !slices.Contains(sources, num) {
			sources = append(sources, num)
			if s.off != "copypin" {
				s.tree.PinFile(num)
			}
		}
	}
	j := &job{file: ids.FileNum(s.id()), used: true}
	copied := false
	var moves []sstable.Meta
	j.step = func() bool {
		if !copied {
			for _, num := range sources {
				s.lost = s.lost || !s.files[num]
			}
			var offset uint64
			for _, tb := range tables {
				to := *tb.Place.Meta()
				to.File, to.Offset = j.file, offset
				offset += to.Length
				moves = append(moves, to)
			}
			s.files[j.file], copied = true, true
			s.tree.PinFile(j.file)
			return false
		}
		for n := 1 + s.rand.Intn(2); n > 0 && len(tables) > 0; n-- {
			s.relocate(tables[0], moves[0])
			tables, moves = tables[1:], moves[1:]
		}
		if len(tables) == 0 {
			s.tree.UnpinFile(j.file)
			for _, num := range sources {
				if s.off != "copypin" {
					s.tree.UnpinFile(num)
				}
			}
		} else {
			s.saw("relocation in several steps")
		}
		s.publish()
		return len(tables) == 0
	}
	s.jobs = append(s.jobs, j)
}

func (s *protocolStore) relocate(tb *Table, to sstable.Meta) {
	switch {
	case !s.tree.Relocate(tb, to):
		s.saw("relocation of what nobody needs any more")
		return
	case tb.held != tb.alive:
		s.saw("relocation under a view")
	case len(tb.replacing) > 0:
		s.saw("relocation under a replacement")
	}
	if s.saw("relocation"); len(tb.holders) > 0 {
		s.saw("relocation under marks")
	}
	if s.off == "moved" {
		tb.moved = false
	}
}
