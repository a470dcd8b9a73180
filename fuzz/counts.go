package fuzz

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Counts is how often the states that a test is there for were met. It may be
// used concurrently.
type Counts struct {
	mu sync.Mutex
	n  map[string]int
}

// NewCounts makes counts that are all zero.
func NewCounts() *Counts { return &Counts{n: map[string]int{}} }

// Add counts a state n times.
func (c *Counts) Add(state string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n[state] += n
}

// Get tells how often a state was met.
func (c *Counts) Get(state string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[state]
}

// Missing gives those of the states that were met less often than demanded.
func (c *Counts) Missing(demanded map[string]int) []string {
	var missing []string
	for state, n := range demanded {
		if got := c.Get(state); got < n {
			missing = append(missing, fmt.Sprintf("%s: %d, want %d", state, got, n))
		}
	}
	sort.Strings(missing)
	return missing
}

// String gives all counts, by name.
func (c *Counts) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for state, n := range c.n {
		lines = append(lines, fmt.Sprintf("%9d %s", n, state))
	}
	sort.Slice(lines, func(i, j int) bool { return lines[i][9:] < lines[j][9:] })
	return strings.Join(lines, "\n")
}
