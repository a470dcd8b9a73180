// Command bench measures the store. It is a module of its own, so that what it
// compares with never reaches people who embed the engine.
//
//	go run . SUITE [-quick] [-rounds N] [-json FILE] [-dir DIR] [-peers LIST] [-cpuprofile FILE] [-mutexprofile FILE]
//	go run . report -in FILE [-in FILE ...] [-out FILE]
//
// The suites are fork, depth, delete, space, scale, write, read, scan, ycsb, recover,
// tail, node, and all. Each figure is one line,
//
//	figure<TAB>name<TAB>value<TAB>unit
//
// a median over the rounds, with name/min and name/max beside it. Rounds are
// interleaved over the cases of a suite, so that a machine whose speed drifts
// shifts all cases alike. Ratios named …/vs-depth0 and …/vs-clean compare the cost of
// a case with the shallow one, or the one where nothing was deleted, in the same
// round. Ratios named …/vs-pebble say how many times cheaper, or faster, a case is here
// than with Pebble: above 1 is ahead. A run checks the answers it reads, by hash where
// two stores are compared, and exits non-zero if one is wrong. Lines that begin with #
// say what was measured where, and with which settings of each store. From the files of
// several runs report makes a page with plots and tables.
//
// A case that is run on several stores is written once, against the interface peer, and
// the stores take turns: one is closed while another runs (contest.go). With -peers
// badger,bbolt these meet the two in the suites from write to tail. The suite node compares a
// node with a server that does nothing, and with redis-server where it is installed.
//
// Read the files in this order: main.go, profiles.go, figures.go, rows.go, clock.go;
// fork.go, filesync.go, forkclients.go, forkdrop.go, writer.go, forkpeer.go; depth.go,
// chain.go, readcost.go; scale.go, scaleidle.go, manifestrewrite.go, scalecold.go,
// watch.go; peer.go, answers.go, tine.go, pebble.go, otherpeer.go, badger.go, bbolt.go,
// contest.go, prepared.go, processio.go, processio_*.go, processcpu.go, latency.go; space.go,
// spacekeepers.go, versions.go; delete.go, deletekeys.go, deleterange.go, queue.go,
// coldflush.go, deadrows.go, manyholders.go; newrows.go, write.go, read.go, scan.go,
// zipf.go, ycsb.go, ycsbfork.go, recover.go, tail.go; node.go, nodeown.go,
// nodefloor.go, noderedis.go; report.go, reportplot.go.
package main
