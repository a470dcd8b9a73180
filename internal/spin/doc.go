// Package spin has the locks of the standard library for sections that take less than a
// microsecond and lie on the path of every read or write: who finds one taken looks again for
// some microseconds before he sleeps.
//
// It is not a spin lock: patience is bounded, and behind it stands the lock that puts
// to sleep, which is fair and knows of goroutines that do not run. What it saves is the
// awakening. A goroutine that sleeps gets a processor again when one is free, some 50 µs later if
// one is idle and up to 10 ms if none is, while what it waits for was over after one.
// A sync.Mutex looks again, too, but not while other goroutines are ready to run; a
// sync.RWMutex never does: a writer that meets one reader sleeps.
//
// The life of a Lock:
//
//  1. try; most often that is all;
//  2. try again, with pauses that grow, some microseconds in all (Patiently);
//  3. Lock of the standard library.
//
// Files in reading order: spin.go (the locks).
package spin
