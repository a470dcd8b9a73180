package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// figures collects the samples of each named figure, in the order of first use, and
// notes on how they came about.
type figures struct {
	notes   []figure
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

// last gives the newest sample of a figure.
func (f *figures) last(name string) float64 {
	s := f.samples[name]
	return s[len(s)-1]
}

// note keeps a text with the figures, and prints it at once.
func (f *figures) note(name, text string) {
	if slices.ContainsFunc(f.notes, func(n figure) bool { return n.Name == name && n.Text == text }) {
		return
	}
	f.notes = append(f.notes, figure{Name: name, Unit: "text", Text: text})
	for line := range strings.Lines(text) {
		fmt.Printf("# %s: %s\n", name, strings.TrimRight(line, "\n"))
	}
}

// figure is one printed line, or a note.
type figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Text  string  `json:"text,omitempty"` // of a note
}

// all gives the notes and then the figures.
func (f *figures) all() []figure {
	out := slices.Clone(f.notes)
	for _, name := range f.names {
		s := slices.Clone(f.samples[name])
		slices.Sort(s)
		unit := f.units[name]
		out = append(out, figure{Name: name, Value: percentile(s, 50), Unit: unit})
		if len(s) > 1 {
			out = append(out, figure{Name: name + "/min", Value: s[0], Unit: unit}, figure{Name: name + "/max", Value: s[len(s)-1], Unit: unit})
		}
	}
	return out
}

func (f *figures) print(w io.Writer) {
	for _, x := range f.all() {
		if x.Unit == "text" {
			continue
		}
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
