package main

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// colors of the stores, ours first.
var colors = map[string]string{
	"tine": "#1f6fb4", "pebble": "#d9822b", "pebble-checkpoints": "#d9822b", "pebble-snapshots": "#b45a8a",
	"badger": "#5a8a3a", "bbolt": "#7a6aa8", "floor": "#888888", "redis": "#b03030",
}

// bar is one ratio of a plot.
type bar struct {
	label string
	spread
}

// plotRatios draws bars on a logarithmic scale, from 1 to the median, with a line from
// the least to the most.
func plotRatios(bars []bar) template.HTML {
	if len(bars) == 0 {
		return ""
	}
	const left, width, height = 330, 600, 18
	low, high := 0.5, 2.0
	for _, b := range bars {
		low, high = min(low, b.Min), max(high, b.Max)
	}
	low = max(low, 1e-3)
	x := func(v float64) float64 {
		return left + width*(math.Log(max(v, low))-math.Log(low))/(math.Log(high)-math.Log(low))
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg width="%d" height="%d" xmlns="http://www.w3.org/2000/svg">`, left+width+80, height*len(bars)+30)
	for _, at := range ticks(low, high) {
		fmt.Fprintf(&out, `<line x1="%.1f" x2="%.1f" y1="0" y2="%d" stroke="#ddd"/><text x="%.1f" y="%d" text-anchor="middle">%g</text>`,
			x(at), x(at), height*len(bars)+4, x(at), height*len(bars)+18, at)
	}
	for i, b := range bars {
		y := i * height
		color := "#16703c"
		if b.Value < 1 {
			color = "#a3231f"
		}
		fmt.Fprintf(&out, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+13, html.EscapeString(b.label))
		fmt.Fprintf(&out, `<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s" opacity="0.7"/>`,
			min(x(1), x(b.Value)), y+3, math.Abs(x(b.Value)-x(1)), height-6, color)
		fmt.Fprintf(&out, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#222"/>`, x(b.Min), x(b.Max), y+height/2, y+height/2)
		fmt.Fprintf(&out, `<text x="%.1f" y="%d">%.2g</text>`, x(max(b.Max, 1))+5, y+13, b.Value)
	}
	fmt.Fprintf(&out, `<line x1="%.1f" x2="%.1f" y1="0" y2="%d" stroke="#222"/></svg>`, x(1), x(1), height*len(bars)+4)
	return template.HTML(out.String())
}

// curve is a store's quantiles; what it does not have is 0.
type curve struct {
	who string
	at  []float64
}

func newCurve(who string) curve { return curve{who, make([]float64, len(quantiles))} }

// plotLatencies draws the quantiles of one operation, in microseconds on a logarithmic
// scale.
func plotLatencies(name string, curves []curve) string {
	const left, top, width, height = 60, 24, 240, 150
	low, high := math.Inf(1), 0.0
	for _, c := range curves {
		for _, v := range c.at {
			if v > 0 {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	if high == 0 {
		return ""
	}
	high = max(high, low*2)
	x := func(q int) float64 { return left + float64(q)*width/float64(len(quantiles)-1) }
	y := func(v float64) float64 {
		return top + height - height*(math.Log(v)-math.Log(low))/(math.Log(high)-math.Log(low))
	}
	var out strings.Builder
	fmt.Fprintf(&out, `<svg width="%d" height="%d" xmlns="http://www.w3.org/2000/svg"><text x="4" y="14">%s, µs</text>`,
		left+width+30, top+height+40, html.EscapeString(name))
	for _, at := range ticks(low, high) {
		fmt.Fprintf(&out, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>`,
			left, left+width, y(at), y(at), left-4, y(at)+4, at)
	}
	for q, label := range quantiles {
		fmt.Fprintf(&out, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x(q), top+height+16, label)
	}
	for i, c := range curves {
		var points []string
		for q, v := range c.at {
			if v > 0 {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(q), y(v)))
			}
		}
		fmt.Fprintf(&out, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>`, strings.Join(points, " "), colors[c.who])
		fmt.Fprintf(&out, `<text x="%d" y="%d" fill="%s" style="fill:%s">%s</text>`,
			left+80*i, top+height+32, colors[c.who], colors[c.who], html.EscapeString(c.who))
	}
	out.WriteString("</svg>")
	return out.String()
}

// ticks gives round numbers between two on a logarithmic scale: some, not many.
func ticks(low, high float64) []float64 {
	steps := []float64{1, 2, 5}
	if high/low > 100 {
		steps = steps[:1]
	}
	var out []float64
	for e := math.Floor(math.Log10(low)); e <= math.Log10(high); e++ {
		for _, s := range steps {
			if v := s * math.Pow(10, e); v >= low && v <= high {
				out = append(out, v)
			}
		}
	}
	return out
}
