package main

import (
	"errors"
	"os"
	"runtime"
	"runtime/pprof"
)

// startProfiles begins to profile a run into the files that are named; stop ends that
// and writes them. The profile of mutexes says who held the locks that others waited
// for.
func startProfiles(cpu, mutex string) (stop func() error, err error) {
	var files []*os.File
	var ends []func() error
	create := func(name string) (*os.File, error) {
		f, err := os.Create(name)
		if err == nil {
			files = append(files, f)
		}
		return f, err
	}
	if cpu != "" {
		f, err := create(cpu)
		if err != nil {
			return nil, err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, err
		}
		ends = append(ends, func() error { pprof.StopCPUProfile(); return nil })
	}
	if mutex != "" {
		f, err := create(mutex)
		if err != nil {
			return nil, err
		}
		runtime.SetMutexProfileFraction(1)
		ends = append(ends, func() error { return pprof.Lookup("mutex").WriteTo(f, 0) })
	}
	return func() error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end())
		}
		for _, f := range files {
			errs = append(errs, f.Close())
		}
		return errors.Join(errs...)
	}, nil
}
