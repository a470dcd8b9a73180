package main

import "github.com/tinedb/tine/fuzz"

// trials gives those of all packages. A package with trials adds a line here.
func trials() []fuzz.Trial {
	var all []fuzz.Trial
	all = append(all, fuzz.Trials()...)
	return all
}
