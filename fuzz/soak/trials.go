package main

import (
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/churn"
	"github.com/tinedb/tine/fuzz/golden"
	"github.com/tinedb/tine/fuzz/repair"
)

// trials gives those of all packages. A package with trials adds a line here.
func trials() []fuzz.Trial {
	var all []fuzz.Trial
	all = append(all, fuzz.Trials()...)
	all = append(all, churn.Trials()...)
	all = append(all, golden.Trials()...)
	all = append(all, repair.Trials()...)
	return all
}
