package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAReportShowsWhatRunsWrote(t *testing.T) {
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.json"), filepath.Join(dir, "second.json")
	var a figures
	a.note("write/settings/pebble", "bytes < 5\nmore")
	for round := range 3 {
		a.add("write/load/wall/tine", "ns/row", float64(100+round))
		a.add("write/load/wall/pebble", "ns/row", 400)
		a.add("write/load/wall/vs-pebble", "ratio", 400/float64(100+round))
		for i, q := range quantiles {
			a.add("write/load/commit/"+q+"/tine", "us", float64(i+1))
			a.add("write/load/commit/"+q+"/pebble", "us", float64(i+2))
		}
	}
	a.add("fork/rate", "forks/s", 8765)
	require.NoError(t, a.writeJSON(first))
	var b figures
	b.add("fork/rate", "forks/s", 12345)
	require.NoError(t, b.writeJSON(second))

	out := filepath.Join(dir, "page.html")
	require.NoError(t, runReport([]string{"-in", first, "-in", second, "-out", out}))
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	page := string(data)
	for _, want := range []string{
		"101 (100–102)", // of the wall time
		`<td class="ahead">3.96 (3.922–4)</td>`,
		"load/wall</text>", // a bar
		"write/load/commit, µs",
		"bytes &lt; 5\nmore",
		"<td>12345</td>",
	} {
		require.Contains(t, page, want)
	}
	require.NotContains(t, page, "<td>8765</td>", "the later file counts")
	require.NotContains(t, page, "NaN")
	require.Equal(t, 2, strings.Count(page, "<svg"))

	// Plots are well formed.
	rest := page
	for range 2 {
		_, rest, _ = strings.Cut(rest, "<svg")
		svg, _, _ := strings.Cut(rest, "</svg>")
		d := xml.NewDecoder(strings.NewReader("<svg" + svg + "</svg>"))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			require.NoError(t, err)
		}
	}
}

func TestAReportOfNothingIsRefused(t *testing.T) {
	require.ErrorContains(t, runReport(nil), "usage")
	require.ErrorIs(t, runReport([]string{"-in", filepath.Join(t.TempDir(), "none")}), os.ErrNotExist)
}
