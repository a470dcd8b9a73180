module github.com/tinedb/tine/bench

go 1.26.0

require github.com/tinedb/tine v0.0.0

require (
	github.com/FastFilter/xorfilter v0.4.2-0.20260120015552-4e5a4d9df65a // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/golang/snappy v1.0.0 // indirect
)

replace github.com/tinedb/tine => ../
