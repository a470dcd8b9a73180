package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// figures collects the samples of each named figure, in the order of first use.
type figures struct {
	names   []string
	units   map[string]string
	samples map[string][]float64
}

// add adds one round's sample.
func (f *figures) add(name, unit string, value float64) {
	if f.samples == nil {
		f.samples, f.units = map[string][]float64{}, map[string]string{}
	}
	if _, ok := f.samples[name]; !ok {
		f.names = append(f.names, name)
	}
	f.units[name] = unit
	f.samples[name] = append(f.samples[name], value)
}

// figure is one printed line.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

func (f *figures) all() []figure {
	var out []figure
	for _, name := range f.names {
		s := slices.Clone(f.samples[name])
		slices.Sort(s)
		unit := f.units[name]
		out = append(out, figure{name, percentile(s, 50), unit})
		if len(s) > 1 {
			out = append(out, figure{name + "/min", s[0], unit}, figure{name + "/max", s[len(s)-1], unit})
		}
	}
	return out
}

func (f *figures) print(w io.Writer) {
	for _, x := range f.all() {
		fmt.Fprintf(w, "figure\t%s\t%.4g\t%s\n", x.Name, x.Value, x.Unit)
	}
}

func (f *figures) writeJSON(name string) error {
	data, err := json.MarshalIndent(f.all(), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, append(data, '\n'), 0o644)
}

// percentile of a sorted slice.
func percentile(sorted []float64, p int) float64 {
	return sorted[min(len(sorted)-1, len(sorted)*p/100)]
}
