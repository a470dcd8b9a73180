package main

import (
	"errors"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/demo"
)

func (a *app) demoCommand() *cobra.Command {
	opts := demo.Options{}
	var noCrash bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show on real files what forks are for",
		Long: `Import the source of Go, fork it a thousand times, let every fork change files,
verify what each of them sees, kill a process in the middle of writing, and keep
one result. Takes less than a minute. It works in a directory of its own that is
removed at the end, or in --data DIR, which must be new or empty and is kept.
Ends with exit code 1 if anything is not as it should be.`,
		Args: takes("nothing", 0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if opts.Agents < 2 {
				return usagef("--agents %d: at least 2 are needed to show that they do not see each other", opts.Agents)
			}
			if opts.Agents > 100_000 {
				return usagef("--agents %d: at most 100000, as what each should see is kept in memory", opts.Agents)
			}
			crash, err := cmd.Flags().GetBool("crash")
			if err != nil {
				return err
			}
			opts.Crash = crash && !noCrash
			// "tine demo | head" must not leave a directory behind: the demo goes
			// on without its output.
			signal.Ignore(syscall.SIGPIPE)
			// TINE_DATA names a store of one's own; only an explicit --data is meant for this.
			if cmd.Flags().Changed("data") {
				opts.Dir = a.data
			}
			if !a.json {
				opts.Out = a.out
			}
			report, err := demo.Run(a.ctx, opts)
			if errors.Is(err, demo.ErrNotEmpty) {
				return usagef("%v", err)
			}
			if a.json && report != nil {
				err = errors.Join(a.printJSON(report), err)
			}
			return err
		},
	}
	exclusive(cmd, "crash", "no-crash")
	f := cmd.Flags()
	f.IntVar(&opts.Agents, "agents", 1000, "how many forks to make")
	f.StringVar(&opts.Source, "source", "", "directory to import (default: the source of Go)")
	f.BoolVar(&opts.Keep, "keep", false, "leave the store on the disk")
	f.Bool("crash", true, "kill a process in the middle of writing")
	f.BoolVar(&noCrash, "no-crash", false, "leave that chapter out")
	return cmd
}

// demoWriterCommand is the process that the demo kills.
func (a *app) demoWriterCommand() *cobra.Command {
	var opts demo.WriterOptions
	cmd := &cobra.Command{
		Use:    demo.WriterVerb,
		Short:  "Write until killed; started by the demo",
		Hidden: true,
		Args:   takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			dir, err := a.dataDir()
			if err != nil {
				return err
			}
			opts.Dir, opts.Acks = dir, a.out
			return demo.Write(a.ctx, opts)
		},
	}
	cmd.Flags().IntVar(&opts.KillAfter, "kill-after", 500, "acknowledged writes before the end")
	return cmd
}
