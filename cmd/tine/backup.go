package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
)

// backupResult is a backup, or a restore, as --json prints it.
type backupResult struct {
	To         string `json:"to"`
	LSN        uint64 `json:"lsn"`
	Forks      int    `json:"forks"`
	Snapshots  int    `json:"snapshots"`
	Tables     int    `json:"tables"`
	TableBytes uint64 `json:"table_bytes"`
	LogRecords int    `json:"log_records"`
	Files      int    `json:"files"`
	Bytes      uint64 `json:"bytes"`
	Check      string `json:"check"`
}

func (a *app) backupCommand() *cobra.Command {
	var to, level string
	var forks, snapshots []string
	cmd := &cobra.Command{
		Use:   "backup --to DIR",
		Short: "Copy the store, as it is at one moment, to a directory",
		Long: `Copy all forks and snapshots, as they are at one moment, into a directory that is
empty or missing. With --addr the store goes on being used meanwhile, and DIR is on
this machine. What was acknowledged before is in the backup; of what is written
meanwhile there is all or nothing, the same for all forks.

The result is a store: it can be read with --data and is put back with "tine restore".
It is checked before the command ends. If the command is interrupted, DIR holds the file
UNFINISHED and is no store.

With --fork, and --snapshot, only these are copied, and nothing of the others.`,
		Example: "  tine backup --addr 127.0.0.1:4790 --to /backups/monday\n  tine backup --data DIR --to DIR2 --fork main",
		Args:    takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			of, known := checkLevels[level]
			switch {
			case to == "":
				return usagef("say where to: --to DIR")
			case len(snapshots) > 0 && len(forks) == 0:
				return usagef("--snapshot goes beside --fork: a backup is a store, which has a fork at least")
			case !known:
				return usagef("--check %s: it is quick, full or deep", quote(level))
			}
			remote, err := a.isRemote()
			if err != nil {
				return err
			}
			if !remote && a.data != "" {
				if err := outside(to, a.data); err != nil {
					return err
				}
			}
			return a.withStore(reading, func(store target) error {
				report, err := a.copyTo(store, to, engine.BackupOptions{Forks: named(forks), Snapshots: named(snapshots)})
				if err != nil {
					return err
				}
				return a.copied("backed up", to, level, of, report)
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "the directory to write, empty or missing")
	cmd.Flags().StringArrayVar(&forks, "fork", nil, "only this fork; may be given more than once")
	cmd.Flags().StringArrayVar(&snapshots, "snapshot", nil, "beside --fork: this snapshot too; may be given more than once")
	cmd.Flags().StringVar(&level, "check", "full", "how to check the copy: quick, full or deep, see 'tine check'")
	return cmd
}

func named(names []string) (out []engine.Ref) {
	for _, name := range names {
		out = append(out, engine.Ref{Name: name})
	}
	return out
}

func (a *app) restoreCommand() *cobra.Command {
	var from, level string
	cmd := &cobra.Command{
		Use:   "restore --from DIR",
		Short: "Make a store of a backup",
		Long: `Check a backup, and copy it into the directory that --data names, which must be empty
or missing. The backup is not changed, and every table is verified once more as it is
copied. Nothing is written if the check finds damage.`,
		Example: "  tine restore --from /backups/monday --data DIR",
		Args:    takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			of, known := checkLevels[level]
			switch {
			case from == "":
				return usagef("say what to restore: --from DIR")
			case !known:
				return usagef("--check %s: it is quick, full or deep", quote(level))
			}
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			if err := outside(dir, from); err != nil {
				return err
			}
			found, err := engine.Check(from, engine.CheckOptions{Level: of})
			if err != nil {
				return err
			}
			if !found.OK() {
				return a.printCheck(level, found)
			}
			backup, err := engine.Open(from, &engine.Options{ReadOnly: true})
			if err != nil {
				return err
			}
			report, err := a.copyTo(&embedded{backup, a.ctx, true}, dir, engine.BackupOptions{})
			if err = errors.Join(err, backup.Close()); err != nil {
				return err
			}
			return a.copied("restored", dir, "quick", engine.CheckQuick, report)
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "the directory of the backup")
	cmd.Flags().StringVar(&level, "check", "deep", "how to check the backup: quick, full or deep, see 'tine check'")
	return cmd
}

// copyTo backs a store up into a directory. If that fails, what it has written is removed
// as far as that works.
func (a *app) copyTo(store target, dir string, o engine.BackupOptions) (*engine.BackupReport, error) {
	to, err := engine.NewBackupDir(dir, nil)
	if err != nil {
		return nil, err
	}
	bar := &progress{a: a, what: "copy"}
	var before uint64
	o.Progress = func(done, total uint64) {
		if before == 0 {
			bar.started(1, int64(total))
		}
		bar.did(1, int64(done-before))
		before = done
	}
	report, err := store.Backup(to, o)
	bar.end()
	if err != nil {
		return nil, errors.Join(err, to.Abort())
	}
	return report, nil
}

// copied checks the copy and says what was done.
func (a *app) copied(done, dir, level string, of engine.CheckLevel, r *engine.BackupReport) error {
	found, err := engine.Check(dir, engine.CheckOptions{Level: of})
	if err != nil {
		return fmt.Errorf("check the copy: %w", err)
	}
	if !found.OK() {
		return a.printCheck(level, found)
	}
	if a.json {
		return a.printJSON(backupResult{dir, r.LSN, r.Forks, r.Snapshots, r.Tables, r.TableBytes, r.LogRecords, r.Files, r.Bytes, level})
	}
	return a.printf("%s %d forks and %d snapshots, as of LSN %d, to %s: %d tables (%s), %d log records; ok (%s check)\n",
		done, r.Forks, r.Snapshots, r.LSN, dir, r.Tables, picture.Size(r.TableBytes), r.LogRecords, level)
}
