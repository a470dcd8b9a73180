package limits

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"

	"github.com/tinedb/tine/fuzz"
)

// The environment of a child process: what to do, and in which directory.
const (
	childVariable = "TINE_LIMITS_CHILD"
	dirVariable   = "TINE_LIMITS_DIR"
	partVariable  = "TINE_LIMITS_PART" // of what it else does: a fifth if 5
)

// part is by how much a child is to do less than usual, 1 if by nothing.
func part() int {
	if n, err := strconv.Atoi(os.Getenv(partVariable)); err == nil && n > 0 {
		return n
	}
	return 1
}

// A child is what is done in a process of its own, in an empty directory.
type child func(dir string, counts *fuzz.Counts) error

// children are all of them, by name. Those of some systems only are added by files
// of their own.
var children = map[string]child{"forks": ManyForks, "at-once": ForksAtOnce, "memory": LittleMemory}

// childStatus is what a child that found a fault exits with.
const childStatus = 3

// RunChild does what the environment asks for and ends the process; without such a
// request it does nothing. A test's main function calls it first.
func RunChild() {
	name := os.Getenv(childVariable)
	if name == "" {
		return
	}
	counts := fuzz.NewCounts()
	err := children[name](os.Getenv(dirVariable), counts)
	fmt.Println(counts)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(childStatus)
	}
	os.Exit(0)
}

// startChild runs this binary again to do what the name says, and gives its
// output. attributes may be nil.
func startChild(name, dir string, attributes *syscall.SysProcAttr, environment ...string) (string, error) {
	binary, err := os.Executable()
	if err != nil {
		return "", err
	}
	cmd := exec.Command(binary)
	cmd.Env = append(append(os.Environ(), environment...), childVariable+"="+name, dirVariable+"="+dir)
	cmd.SysProcAttr = attributes
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("child %s: %w", name, err)
	}
	return out.String(), nil
}

// The memory that a child may use, as its environment says, and by how much what
// it holds from the system may pass that for a moment: the limit is one that the
// collector strives for, and on a busy machine, or with buffers of 64 MiB, it comes
// late. What is reachable must stay below the limit itself.
const (
	memoryLimit      = 256 << 20
	memorySlack      = 128 << 20
	memoryLimitInEnv = "GOMEMLIMIT=256MiB"
)

// memory watches what a process holds: the heap in use, and what it has taken from
// the system. One goroutine uses it.
type memory struct {
	most    uint64 // held from the system, at any look
	live    uint64 // of that, reachable when the collector last looked
	samples [3]metrics.Sample
}

func newMemory() *memory {
	m := &memory{}
	m.samples[0].Name = "/memory/classes/total:bytes"
	m.samples[1].Name = "/memory/classes/heap/released:bytes"
	m.samples[2].Name = "/gc/heap/live:bytes"
	return m
}

// note counts the highest figures.
func (m *memory) note(counts *fuzz.Counts) {
	counts.Add("MiB held from the system at most", int(m.most>>20))
	counts.Add("MiB reachable at most", int(m.live>>20))
}

// look reads the present figures, and fails if one is over its limit.
func (m *memory) look() error {
	metrics.Read(m.samples[:])
	held := m.samples[0].Value.Uint64() - m.samples[1].Value.Uint64()
	live := m.samples[2].Value.Uint64()
	m.most, m.live = max(m.most, held), max(m.live, live)
	if live > memoryLimit {
		return fmt.Errorf("%d MiB are reachable, the limit is %d MiB", live>>20, memoryLimit>>20)
	}
	if held > memoryLimit+memorySlack {
		return fmt.Errorf("%d MiB are held from the system, the limit is %d MiB", held>>20, memoryLimit>>20)
	}
	return nil
}

// limited demands that the process runs under the limit at all.
func limited() error {
	if limit := debug.SetMemoryLimit(-1); limit != memoryLimit {
		return fmt.Errorf("the memory limit is %d", limit)
	}
	return nil
}

// heapInUse is what is reachable.
func heapInUse() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
