package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

// checkResult is a check as --json prints it.
type checkResult struct {
	OK           bool           `json:"ok"`
	Level        string         `json:"level"`
	Problems     []checkProblem `json:"problems"`
	Missing      []string       `json:"missing"`
	Leaked       []string       `json:"leaked"`
	Forks        int            `json:"forks"`
	Snapshots    int            `json:"snapshots"`
	Nodes        int            `json:"nodes"`
	Tables       int            `json:"tables"`
	Files        int            `json:"files"`
	Rows         uint64         `json:"rows"`
	TableBytes   uint64         `json:"table_bytes"`
	LastLSN      uint64         `json:"last_lsn"`
	LogRecords   uint64         `json:"log_records"`
	TornLog      bool           `json:"torn_log"`
	TornManifest bool           `json:"torn_manifest"`
}

type checkProblem struct {
	File   string   `json:"file"`
	Offset int64    `json:"offset"` // -1 if unknown
	Text   string   `json:"text"`
	Forks  []string `json:"forks,omitempty"`
}

func (a *app) checkCommand() *cobra.Command {
	var level string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look for damage, without changing anything",
		Long: `Look for damage, without changing anything. The level quick reads the log and
the manifest and looks for missing files, full also reads every block of every
table. Ends
with exit code 5 if there is any. A torn end of the log is not damage: that is
what a crash leaves, and the next open cuts it off.`,
		Args: takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			opts := engine.CheckOptions{Level: engine.CheckQuick}
			switch level {
			case "quick":
			case "full":
				opts.Level = engine.CheckFull
			default:
				return usagef("--level %s: it is quick or full", quote(level))
			}
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			report, err := engine.Check(dir, opts)
			if err != nil {
				return err
			}
			if err := a.printCheck(level, report); err != nil {
				return err
			}
			if !report.OK() {
				return &reportedError{code: exitCorrupt}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&level, "level", "quick", "quick or full")
	return cmd
}

func (a *app) printCheck(level string, r *engine.CheckReport) error {
	if a.json {
		result := checkResult{
			OK: r.OK(), Level: level, Problems: []checkProblem{},
			Missing: append([]string{}, r.Missing...), Leaked: append([]string{}, r.Leaked...),
			Forks: r.Forks, Snapshots: r.Snapshots, Nodes: r.Nodes, Tables: r.Tables, Files: r.Files,
			Rows: r.Rows, TableBytes: r.TableBytes, LastLSN: r.LastLSN, LogRecords: r.LogRecords,
			TornLog: r.TornLog, TornManifest: r.TornManifest,
		}
		for _, p := range r.Problems {
			result.Problems = append(result.Problems, checkProblem{p.File, p.Offset, p.Text, p.Forks})
		}
		return a.printJSON(result)
	}
	var b strings.Builder
	for _, p := range r.Problems {
		fmt.Fprintf(&b, "damage in %s", p.File)
		if p.Offset >= 0 {
			fmt.Fprintf(&b, " at offset %d", p.Offset)
		}
		fmt.Fprintf(&b, ": %s", p.Text)
		if len(p.Forks) > 0 {
			fmt.Fprintf(&b, " (forks hit: %s)", strings.Join(p.Forks, ", "))
		}
		b.WriteByte('\n')
	}
	for _, name := range r.Missing {
		fmt.Fprintf(&b, "missing file %s\n", name)
	}
	for _, name := range r.Leaked {
		fmt.Fprintf(&b, "left over %s: nothing reads it, the next open removes it\n", name)
	}
	if r.TornLog {
		b.WriteString("the end of the log is torn, as a crash leaves it; the next open cuts it off\n")
	}
	if r.TornManifest {
		b.WriteString("the end of the manifest is torn, as a crash leaves it; the next open cuts it off\n")
	}
	fmt.Fprintf(&b, "%d forks, %d snapshots, %d nodes, %d tables (%s) in %d files, %s rows, last LSN %d\n",
		r.Forks, r.Snapshots, r.Nodes, r.Tables, picture.Size(r.TableBytes), r.Files, picture.Count(r.Rows), r.LastLSN)
	if r.OK() {
		fmt.Fprintf(&b, "ok (%s check)\n", level)
	} else {
		fmt.Fprintf(&b, "DAMAGED (%s check)\n", level)
	}
	return a.printf("%s", b.String())
}
