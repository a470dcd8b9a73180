package auth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tinedb/tine/cmd/rpc/server"
	"github.com/tinedb/tine/engine"
)

// The verbs that a scope lists names for. VerbAdmin has none: it is about the node.
var listed = [...]server.Verb{server.VerbRead, server.VerbWrite, server.VerbFork}

// A pattern allows one name, or with a star at its end all that begin so. Snapshots'
// names have an @ before them, so "*" allows everything and "@*" all snapshots.
type pattern string

func parsePattern(s string) (pattern, error) {
	name, star := strings.CutSuffix(s, "*")
	name = strings.TrimPrefix(name, "@")
	if name == "" && star {
		return pattern(s), nil
	}
	if err := engine.CheckName(name); err != nil {
		return "", fmt.Errorf("%q is neither a name nor a prefix and a star: %w", s, err)
	}
	return pattern(s), nil
}

func (p pattern) allows(name string) bool {
	if prefix, star := strings.CutSuffix(string(p), "*"); star {
		return strings.HasPrefix(name, prefix)
	}
	return string(p) == name
}

// allowsAll tells whether every name with that prefix is allowed.
func (p pattern) allowsAll(prefix string) bool {
	mine, star := strings.CutSuffix(string(p), "*")
	return star && strings.HasPrefix(prefix, mine)
}

// Scope is what somebody may do. Its zero value allows nothing.
type Scope struct {
	patterns [len(listed)][]pattern
	// Admin is to see the node as a whole and to look after it: counts, checks,
	// flushes, merges, backups. It says nothing about the rows of a fork: a backup takes
	// the right to read what it copies besides.
	Admin bool
}

// Allows tells whether the fork of that name, or the snapshot if an @ stands before it,
// may be used so.
func (s *Scope) Allows(v server.Verb, name string) bool {
	return slices.ContainsFunc(s.of(v), func(p pattern) bool { return p.allows(name) })
}

// AllowsAll tells whether Allows holds for every name with that prefix.
func (s *Scope) AllowsAll(v server.Verb, prefix string) bool {
	return slices.ContainsFunc(s.of(v), func(p pattern) bool { return p.allowsAll(prefix) })
}

// of gives the patterns of a verb; none of one that has no list.
func (s *Scope) of(v server.Verb) []pattern {
	if i := slices.Index(listed[:], v); i >= 0 {
		return s.patterns[i]
	}
	return nil
}

// allow adds a list of patterns, divided by commas, to the verb with that place in
// listed.
func (s *Scope) allow(place int, list string) error {
	for item := range strings.SplitSeq(list, ",") {
		p, err := parsePattern(item)
		if err != nil {
			return err
		}
		s.patterns[place] = append(s.patterns[place], p)
	}
	return nil
}
