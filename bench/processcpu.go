package main

import "golang.org/x/sys/unix"

// processCPU gives the seconds of processor time that this process has used so far, with
// those of the kernel for it.
func processCPU() (float64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9, nil
}
