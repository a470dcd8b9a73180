package demo

import (
	"fmt"
	"slices"
	"time"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
)

// Report is the demo in numbers. Times are of this run on this machine.
type Report struct {
	Source         string  `json:"source"`
	Generated      bool    `json:"generated,omitempty"` // there was no source, so one was made up
	Files          int     `json:"files"`
	SourceBytes    int64   `json:"source_bytes"`
	ImportSeconds  float64 `json:"import_seconds"`
	BaseTableBytes uint64  `json:"base_table_bytes"`

	Forks        int       `json:"forks"` // all of them, main included
	ForkSynced   Latencies `json:"fork_synced"`
	ForkUnsynced Latencies `json:"fork_unsynced"`

	Edits         int     `json:"edits"`
	Adds          int     `json:"adds"`
	Deletes       int     `json:"deletes"`
	ChangeSeconds float64 `json:"change_seconds"`

	ForksVerified int `json:"forks_verified"` // by their touched keys, in the last pass over all
	FullScans     int `json:"full_scans"`
	Compared      int `json:"compared"` // keys, in all passes

	TableBytes  uint64 `json:"table_bytes"`
	DiskBytes   int64  `json:"disk_bytes"`
	CopiesBytes uint64 `json:"copies_bytes"` // what copying the base for each fork would take

	Crash *CrashReport `json:"crash,omitempty"`

	Winner          string  `json:"winner"`
	DropSeconds     float64 `json:"drop_seconds"`
	TableBytesAfter uint64  `json:"table_bytes_after"`
	DiskBytesAfter  int64   `json:"disk_bytes_after"`
	CheckOK         bool    `json:"check_ok"`

	Seconds float64 `json:"seconds"`
	Dir     string  `json:"dir,omitempty"` // of the store, if it was kept

	chapters int
}

// CrashReport is what the killed process had been promised and what was there.
type CrashReport struct {
	Acknowledged   int     `json:"acknowledged"`
	Present        int     `json:"present"`
	Unacknowledged int     `json:"unacknowledged_but_present"`
	Forks          int     `json:"forks_acknowledged"`
	RecoverySecs   float64 `json:"recovery_seconds"`
}

// Latencies sums up how long one kind of call took.
type Latencies struct {
	Calls  int     `json:"calls"`
	P50us  float64 `json:"p50_us"`
	P99us  float64 `json:"p99_us"`
	Maxus  float64 `json:"max_us"`
	perSec float64
}

func latenciesOf(all []time.Duration) Latencies {
	if len(all) == 0 {
		return Latencies{}
	}
	sorted := slices.Sorted(slices.Values(all))
	var sum time.Duration
	for _, d := range sorted {
		sum += d
	}
	at := func(percent int) float64 {
		return microseconds(sorted[(len(sorted)-1)*percent/100])
	}
	return Latencies{
		Calls: len(sorted), P50us: at(50), P99us: at(99), Maxus: at(100),
		perSec: float64(len(sorted)) / max(sum.Seconds(), 1e-9),
	}
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func (l Latencies) String() string {
	return fmt.Sprintf("p50 %s, p99 %s", duration(l.P50us), duration(l.P99us))
}

func duration(us float64) string {
	if us >= 1000 {
		return fmt.Sprintf("%.1f ms", us/1000)
	}
	return fmt.Sprintf("%.1f µs", us)
}

// chapter prints a numbered heading.
func (d *demo) chapter(title string) {
	d.report.chapters++
	if d.report.chapters > 1 {
		d.printf("\n")
	}
	d.printf("%d. %s\n", d.report.chapters, title)
}

// line prints one line of a chapter.
func (d *demo) line(format string, args ...any) {
	d.printf("   "+format+"\n", args...)
}

// printf writes the story. An output that is gone is no reason to stop: the
// verification still ends with an exit code.
func (d *demo) printf(format string, args ...any) {
	if d.opts.Out != nil {
		_, _ = fmt.Fprintf(d.opts.Out, format, args...)
	}
}

func countOf(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return picture.Count(n) + " " + many
}
