package node

import (
	"fmt"
	"os"
	"strings"
)

// readFile reads a file of settings: lines "name = value" with the names of the
// flags. Blank lines, and lines that begin with #, are ignored; spaces around name and
// value too. A name that comes twice is a mistake.
func readFile(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("config file: %w", err)
	}
	settings := map[string]string{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, fmt.Errorf("config file %s, line %d: no 'name = value'", path, number)
		}
		if _, twice := settings[name]; twice {
			return nil, fmt.Errorf("config file %s, line %d: %s is given twice", path, number, name)
		}
		settings[name] = value
	}
	return settings, nil
}
