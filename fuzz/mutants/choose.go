package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// choice says which mutants are wanted. The zero value wants all.
type choice struct {
	only   string // names, separated by commas
	shard  string // "i/n"
	rotate string // a date, or "today"
	few    int    // how many rotate gives
}

// of gives the wanted ones of all, in their order.
func (c choice) of(all []mutant) ([]mutant, error) {
	if c.only != "" {
		var some []mutant
		for _, name := range strings.Split(c.only, ",") {
			i := slices.IndexFunc(all, func(m mutant) bool { return m.name == name })
			if i < 0 {
				return nil, fmt.Errorf("no mutant %q", name)
			}
			some = append(some, all[i])
		}
		all = some
	}
	if c.shard != "" {
		var i, n int
		if _, err := fmt.Sscanf(c.shard, "%d/%d", &i, &n); err != nil || i < 1 || i > n {
			return nil, fmt.Errorf("shard %q is not like 1/4", c.shard)
		}
		var part []mutant
		for at := i - 1; at < len(all); at += n {
			part = append(part, all[at])
		}
		all = part
	}
	if c.rotate != "" {
		day := time.Now()
		if c.rotate != "today" {
			var err error
			if day, err = time.Parse(time.DateOnly, c.rotate); err != nil {
				return nil, fmt.Errorf("rotate: %w", err)
			}
		}
		all = rotated(all, int(day.Unix()/(24*60*60)), c.few)
	}
	return all, nil
}

// rotated gives a few, so that after len(all)/few days each had its turn. Those of
// one day are far apart: neighbours in the alphabet are often of one kind.
func rotated(all []mutant, day, few int) []mutant {
	few = min(few, len(all))
	if few <= 0 {
		return nil
	}
	turns := (len(all) + few - 1) / few
	var some []mutant
	for at := day % turns; at < len(all); at += turns {
		some = append(some, all[at])
	}
	return some
}
