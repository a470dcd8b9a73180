package picture

import "fmt"

// Size writes a number of bytes in the unit that suits it: "13.2 MiB".
func Size[T int | int64 | uint64](bytes T) string {
	const unit = 1024
	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}
	value, i := float64(bytes)/unit, 0
	for value >= unit && i < 3 {
		value /= unit
		i++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGT"[i])
}

// Count writes a number with a comma before each three digits: "11,478".
func Count[T int | int64 | uint64](n T) string {
	s := fmt.Sprintf("%d", n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
