package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// processIO reads the counters of this process.
func processIO() (c ioCounts, err error) {
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		return c, err
	}
	found := 0
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var name string
		var n uint64
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &name, &n); err != nil {
			return c, fmt.Errorf("/proc/self/io: %q: %w", lines.Text(), err)
		}
		switch name {
		case "rchar:":
			c.read = n
		case "wchar:":
			c.written = n
		case "read_bytes:":
			c.fromDisk = n
		default:
			continue
		}
		found++
	}
	if found != 3 {
		return c, errors.New("/proc/self/io lacks a counter")
	}
	return c, nil
}

// chill makes the operating system forget the contents of a file, which it has to
// write out first.
func chill(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// syncData makes the contents of a file durable.
func syncData(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// residentBytes is the memory that the process has in use, as the system counts it.
func residentBytes() (uint64, error) {
	data, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	var all, resident uint64
	if _, err := fmt.Sscan(string(data), &all, &resident); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %q: %w", data, err)
	}
	return resident * uint64(os.Getpagesize()), nil
}
