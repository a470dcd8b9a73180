//go:build invariants

package invariant

// Expensive tells whether the costly checks are compiled in.
const Expensive = true
