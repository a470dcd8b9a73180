// Command bench measures the store. It is a module of its own, so that what it
// compares with never reaches people who embed the engine.
//
//	go run . SUITE [-quick] [-rounds N] [-json FILE] [-dir DIR]
//
// The suites are fork, depth, and all. Each figure is one line,
//
//	figure<TAB>name<TAB>value<TAB>unit
//
// a median over the rounds, with name/min and name/max beside it. Rounds are
// interleaved over the cases of a suite, so that a machine whose speed drifts
// shifts all cases alike. Ratios named …/vs-depth0 compare the cost of a case with
// the shallow one in the same round. A run checks the answers it reads, and exits
// non-zero if one is wrong.
//
// Read the files in this order: main.go, figures.go, fork.go, depth.go.
package main
