package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"os"
	"slices"
	"strings"
)

// runReport writes a page with plots and tables of figures that runs wrote with -json.
// What two files both have is taken from the later.
func runReport(args []string) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	var in []string
	flags.Func("in", "file that a run wrote with -json; may be given several times", func(name string) error {
		in = append(in, name)
		return nil
	})
	to := flags.String("out", "report.html", "file to write the page to")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if len(in) == 0 || flags.NArg() > 0 {
		return errors.New("usage: go run . report -in FILE [-in FILE ...] [-out FILE]")
	}
	var all []figure
	for _, name := range in {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var some []figure
		if err := json.Unmarshal(data, &some); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, some...)
	}
	f, err := os.Create(*to)
	if err != nil {
		return err
	}
	err = page.Execute(f, newReport(all))
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	fmt.Println(*to)
	return nil
}

// report is figures in the order in which they are shown.
type report struct {
	Notes  []figure
	Suites []*suiteReport
}

// suiteReport is one suite's part.
type suiteReport struct {
	Name  string
	Whos  []string // stores, ours first
	Rows  []*reportRow
	Plain []*reportRow // what was not compared
}

// reportRow is one cost of one case: what each store has, and how much better we are
// than each.
type reportRow struct {
	Name, Unit string
	By, Versus map[string]spread
}

// spread is a median with the least and the most beside it.
type spread struct{ Value, Min, Max float64 }

func (s spread) String() string {
	if s.Min == s.Max {
		return short(s.Value)
	}
	return fmt.Sprintf("%s (%s–%s)", short(s.Value), short(s.Min), short(s.Max))
}

// short gives four digits, or all of a large number.
func short(v float64) string {
	if v >= 1000 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// stores are the names by which figures of several stores are told apart.
var stores = []string{"tine", "pebble", "pebble-checkpoints", "pebble-snapshots", "badger", "bbolt", "floor", "redis"}

func newReport(all []figure) report {
	var r report
	spreads := map[string]spread{}
	units := map[string]string{}
	var names []string
	for _, f := range all {
		if f.Unit == "text" {
			r.Notes = slices.DeleteFunc(r.Notes, func(n figure) bool { return n.Name == f.Name })
			r.Notes = append(r.Notes, f)
			continue
		}
		base, isMin := strings.CutSuffix(f.Name, "/min")
		base, isMax := strings.CutSuffix(base, "/max")
		s := spreads[base]
		switch {
		case isMin:
			s.Min = f.Value
		case isMax:
			s.Max = f.Value
		default:
			if _, seen := units[base]; !seen {
				names = append(names, base)
			}
			units[base], s = f.Unit, spread{f.Value, f.Value, f.Value}
		}
		spreads[base] = s
	}
	rows := map[string]*reportRow{}
	for _, name := range names {
		suite := r.suite(name)
		base, last := cutLast(name)
		who, versus := strings.CutPrefix(last, "vs-")
		if !slices.Contains(stores, who) {
			suite.Plain = append(suite.Plain, &reportRow{Name: name, Unit: units[name], By: map[string]spread{"": spreads[name]}})
			continue
		}
		row := rows[base]
		if row == nil {
			row = &reportRow{Name: base, By: map[string]spread{}, Versus: map[string]spread{}}
			rows[base] = row
			suite.Rows = append(suite.Rows, row)
		}
		if versus {
			row.Versus[who] = spreads[name]
			continue
		}
		row.By[who], row.Unit = spreads[name], units[name]
		if !slices.Contains(suite.Whos, who) {
			suite.Whos = append(suite.Whos, who)
		}
	}
	return r
}

// suite gives the part that a figure belongs to.
func (r *report) suite(figure string) *suiteReport {
	name, _, _ := strings.Cut(figure, "/")
	for _, s := range r.Suites {
		if s.Name == name {
			return s
		}
	}
	s := &suiteReport{Name: name}
	r.Suites = append(r.Suites, s)
	return s
}

func cutLast(name string) (base, last string) {
	i := strings.LastIndexByte(name, '/')
	return name[:max(i, 0)], name[i+1:]
}

// Others are all stores but ours.
func (s *suiteReport) Others() []string {
	return slices.DeleteFunc(slices.Clone(s.Whos), func(who string) bool { return who == stores[0] })
}

// Ratios plots how many times better we are than each store, but for quantiles.
func (s *suiteReport) Ratios() template.HTML {
	var bars []bar
	for _, who := range s.Others() {
		for _, row := range s.Rows {
			if v, ok := row.Versus[who]; ok && quantileOf(row.Name) < 0 {
				label := strings.TrimPrefix(row.Name, s.Name+"/")
				if len(s.Others()) > 1 {
					label += " vs " + who
				}
				bars = append(bars, bar{label, v})
			}
		}
	}
	return plotRatios(bars)
}

// Latencies plots each set of quantiles.
func (s *suiteReport) Latencies() template.HTML {
	var order []string
	sets := map[string][]curve{}
	for _, row := range s.Rows {
		q := quantileOf(row.Name)
		if q < 0 {
			continue
		}
		base, _ := cutLast(row.Name)
		if sets[base] == nil {
			order = append(order, base)
			for _, who := range s.Whos {
				sets[base] = append(sets[base], newCurve(who))
			}
		}
		for i, who := range s.Whos {
			if v, ok := row.By[who]; ok {
				sets[base][i].at[q] = v.Value
			}
		}
	}
	var out strings.Builder
	for _, base := range order {
		out.WriteString(plotLatencies(base, sets[base]))
	}
	return template.HTML(out.String())
}

// quantiles in the order of a plot.
var quantiles = []string{"p50", "p90", "p99", "p99.9", "p99.99", "worst"}

// quantileOf gives the place of a row's quantile, -1 if it is none.
func quantileOf(name string) int {
	_, last := cutLast(name)
	return slices.Index(quantiles, last)
}

var page = template.Must(template.New("report").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>bench</title>
<style>
body { font: 14px/1.4 sans-serif; max-width: 1100px; margin: 2em auto; color: #222 }
table { border-collapse: collapse; margin: 1em 0 } td, th { padding: 2px 10px; text-align: right; border-bottom: 1px solid #ddd }
td:first-child, th:first-child { text-align: left } pre { font-size: 12px; background: #f6f6f6; padding: 1em; overflow-x: auto }
svg { margin: 4px } svg text { font: 11px sans-serif; fill: #222 } .ahead { color: #16703c } .behind { color: #a3231f }
</style></head><body>
<h1>Benchmarks</h1>
<p>Medians, with the least and the most of the rounds in brackets. A ratio above 1 says how many times better Tine is.</p>
{{range .Suites}}<h2 id="{{.Name}}">{{.Name}}</h2>
{{.Ratios}}{{.Latencies}}{{$suite := .}}
{{if .Rows}}<table><tr><th>case</th>{{range .Whos}}<th>{{.}}</th>{{end}}<th>unit</th>{{range .Others}}<th>vs {{.}}</th>{{end}}</tr>
{{range .Rows}}{{$row := .}}<tr><td>{{.Name}}</td>{{range $suite.Whos}}<td>{{with index $row.By .}}{{.}}{{end}}</td>{{end}}<td>{{.Unit}}</td>
{{- range $suite.Others}}{{with index $row.Versus .}}{{if .Value}}<td class="{{if ge .Value 1.0}}ahead{{else}}behind{{end}}">{{.}}</td>{{else}}<td></td>{{end}}{{end}}{{end}}</tr>
{{end}}</table>{{end}}
{{if .Plain}}<table><tr><th>figure</th><th>value</th><th>unit</th></tr>
{{range .Plain}}<tr><td>{{.Name}}</td><td>{{index .By ""}}</td><td>{{.Unit}}</td></tr>
{{end}}</table>{{end}}
{{end}}
<h2>How it was measured</h2>
{{range .Notes}}<details><summary>{{.Name}}</summary><pre>{{.Text}}</pre></details>
{{end}}</body></html>
`))
