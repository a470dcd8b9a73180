package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// edit is what a patch does to one file.
type edit struct {
	name  string // in the module
	hunks []hunk
}

// hunk is one change: the lines before and after it, with some around it that do
// not change.
type hunk struct {
	at            int // where the lines stood when the patch was made, from 0
	before, after []string
}

// maxFuzz is how many of the unchanged lines at each end of a hunk may have
// changed since, and minSame how many have to be left in all. Then the rest must
// stand in the file exactly once: with fewer a patch would find a line like its own
// elsewhere, and be about something else.
const (
	maxFuzz = 2
	minSame = 2
)

// parseEdits reads a unified diff.
func parseEdits(text string) ([]edit, error) {
	var edits []edit
	var h *hunk
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "--- "):
			h = nil
		case strings.HasPrefix(line, "+++ b/"):
			edits = append(edits, edit{name: strings.TrimSpace(strings.TrimPrefix(line, "+++ b/"))})
		case strings.HasPrefix(line, "@@ -"):
			if len(edits) == 0 {
				return nil, fmt.Errorf("a change without a file")
			}
			first, _, _ := strings.Cut(strings.TrimPrefix(line, "@@ -"), ",")
			at, err := strconv.Atoi(first)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", line, err)
			}
			e := &edits[len(edits)-1]
			e.hunks = append(e.hunks, hunk{at: max(at-1, 0)})
			h = &e.hunks[len(e.hunks)-1]
		case h == nil:
		case strings.HasPrefix(line, "-"):
			h.before = append(h.before, line[1:])
		case strings.HasPrefix(line, "+"):
			h.after = append(h.after, line[1:])
		default:
			same := strings.TrimPrefix(line, " ")
			h.before, h.after = append(h.before, same), append(h.after, same)
		}
	}
	if len(edits) == 0 {
		return nil, fmt.Errorf("the patch changes nothing")
	}
	for _, e := range edits {
		if len(e.hunks) == 0 {
			return nil, fmt.Errorf("%s: the patch changes nothing", e.name)
		}
	}
	return edits, nil
}

// apply gives the file's text as the edit leaves it.
func (e edit) apply(text string) (string, error) {
	lines := strings.Split(text, "\n")
	shift := 0
	for n, h := range e.hunks {
		at, lead, trail := h.find(lines, h.at+shift)
		if at < 0 {
			return "", fmt.Errorf("change %d of %s does not apply: the lines around line %d are others now", n+1, e.name, h.at+1)
		}
		before, after := h.before[lead:len(h.before)-trail], h.after[lead:len(h.after)-trail]
		lines = slices.Concat(lines[:at], after, lines[at+len(before):])
		shift = at - lead - h.at + len(h.after) - len(h.before)
	}
	return strings.Join(lines, "\n"), nil
}

// find gives where the hunk's lines stand, nearest to where they should, -1 if
// nowhere; lead and trail are how many of them are to be left out at its ends.
func (h hunk) find(lines []string, near int) (at, lead, trail int) {
	maxLead, maxTrail := h.around()
	for left := range max(maxLead+maxTrail-minSame, 0) + 1 {
		for lead = max(0, left-maxTrail); lead <= min(left, maxLead); lead++ {
			trail = left - lead
			want := h.before[lead : len(h.before)-trail]
			if len(want) == 0 {
				continue
			}
			best, found := -1, 0
			for at := 0; at+len(want) <= len(lines); at++ {
				if !slices.Equal(lines[at:at+len(want)], want) {
					continue
				}
				found++
				if best < 0 || distance(at, near+lead) < distance(best, near+lead) {
					best = at
				}
			}
			if found == 1 || found > 1 && left == 0 {
				return best, lead, trail
			}
		}
	}
	return -1, 0, 0
}

func distance(a, b int) int { return max(a-b, b-a) }

// around is how many lines at either end are the same before and after, maxFuzz
// at most.
func (h hunk) around() (lead, trail int) {
	n := min(len(h.before), len(h.after))
	for lead < min(n, maxFuzz) && h.before[lead] == h.after[lead] {
		lead++
	}
	for trail < min(n-lead, maxFuzz) && h.before[len(h.before)-1-trail] == h.after[len(h.after)-1-trail] {
		trail++
	}
	return lead, trail
}
