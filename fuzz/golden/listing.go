package golden

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tinedb/tine/fuzz/model"
)

// formatListing writes what a store holds: a line for each fork and snapshot, and
// under it a line for each of its rows, all quoted as Go does.
func formatListing(v model.View) string {
	var b strings.Builder
	write := func(what string, named model.Map[model.Contents]) {
		for name, contents := range named.All() {
			fmt.Fprintf(&b, "%s %q\n", what, name)
			for key, value := range contents.All() {
				fmt.Fprintf(&b, "\t%q = %q\n", key, value)
			}
		}
	}
	write("fork", v.Forks)
	write("snapshot", v.Snapshots)
	return b.String()
}

// parseListing is the inverse of formatListing. Ids are made up: negative ones,
// so that none is that of a fork made later.
func parseListing(text string) (model.State, error) {
	var s model.State
	what, name := "", ""
	var contents model.Contents
	id := 0
	end := func() {
		id--
		switch what {
		case "fork":
			s.Forks = s.Forks.Set(name, model.Fork{ID: id, Contents: contents})
		case "snapshot":
			s.Snapshots = s.Snapshots.Set(name, model.Snapshot{ID: id, Contents: contents})
		}
		contents = model.Contents{}
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSuffix(line, "\n")
		if row, ok := strings.CutPrefix(line, "\t"); ok && what != "" {
			key, value, err := parseRow(row)
			if err != nil {
				return s, fmt.Errorf("line %d: %w", n, err)
			}
			contents = contents.Set(key, value)
			continue
		}
		end()
		word, quoted, _ := strings.Cut(line, " ")
		if word != "fork" && word != "snapshot" {
			return s, fmt.Errorf("line %d is neither a fork, a snapshot nor a row", n)
		}
		var err error
		if name, err = strconv.Unquote(quoted); err != nil {
			return s, fmt.Errorf("line %d: %w", n, err)
		}
		what = word
	}
	end()
	return s, nil
}

func parseRow(row string) (key, value string, err error) {
	quoted, err := strconv.QuotedPrefix(row)
	if err != nil {
		return "", "", err
	}
	if key, err = strconv.Unquote(quoted); err != nil {
		return "", "", err
	}
	rest, ok := strings.CutPrefix(row[len(quoted):], " = ")
	if !ok {
		return "", "", fmt.Errorf("a row without a value")
	}
	value, err = strconv.Unquote(rest)
	return key, value, err
}
