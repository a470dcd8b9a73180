package main

// ioCounts are the bytes that this process has asked the operating system to read and
// to write, and those that had to come from storage.
type ioCounts struct {
	read, fromDisk, written uint64
}

func (c ioCounts) plus(o ioCounts) ioCounts {
	return ioCounts{c.read + o.read, c.fromDisk + o.fromDisk, c.written + o.written}
}

func (c ioCounts) minus(o ioCounts) ioCounts {
	return ioCounts{c.read - o.read, c.fromDisk - o.fromDisk, c.written - o.written}
}
