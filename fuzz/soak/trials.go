package main

import (
	"github.com/tinedb/tine/fuzz"
	"github.com/tinedb/tine/fuzz/churn"
	"github.com/tinedb/tine/fuzz/damage"
	"github.com/tinedb/tine/fuzz/golden"
	"github.com/tinedb/tine/fuzz/limits"
	"github.com/tinedb/tine/fuzz/node"
	"github.com/tinedb/tine/fuzz/repair"
	"github.com/tinedb/tine/fuzz/schedule"
)

// trials gives those of all packages. A package with trials adds a line here.
func trials() []fuzz.Trial {
	var all []fuzz.Trial
	all = append(all, fuzz.Trials()...)
	all = append(all, damage.Trials()...)
	all = append(all, schedule.Trials()...)
	all = append(all, churn.Trials()...)
	all = append(all, golden.Trials()...)
	all = append(all, limits.Trials()...)
	all = append(all, node.Trials()...)
	all = append(all, repair.Trials()...)
	return all
}
