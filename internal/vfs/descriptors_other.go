//go:build !unix

package vfs

import "math"

// MaxDescriptors is how many descriptors this process may have open at a time.
func MaxDescriptors() int { return math.MaxInt }
