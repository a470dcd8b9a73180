package limits

import "github.com/tinedb/tine/fuzz"

// Trials are those that need no process of their own.
func Trials() []fuzz.Trial { return []fuzz.Trial{Full(), Handles()} }
