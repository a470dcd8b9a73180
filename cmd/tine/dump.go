package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
	"github.com/tinedb/tine/engine"
	"github.com/tinedb/tine/internal/ids"
	"github.com/tinedb/tine/internal/vfs"
	"github.com/tinedb/tine/manifest"
	"github.com/tinedb/tine/sstable"
	"github.com/tinedb/tine/wal"
)

func (a *app) dumpCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dump",
		Short: "Print what the files of a store hold, for people",
		Long: `Print what the files of a store hold, one line a record. The store need not be
whole and need not be closed; nothing is changed. The text is for people and
changes between versions.`,
	}
	group(cmd)
	cmd.AddCommand(&cobra.Command{
		Use:   "wal",
		Short: "Print the write-ahead log",
		Args:  takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			return a.dump(func(w io.Writer, dir string) error { return wal.Dump(w, vfs.OS, dir) })
		},
	}, &cobra.Command{
		Use:   "manifest",
		Short: "Print the manifest that CURRENT names",
		Args:  takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			return a.dump(func(w io.Writer, dir string) error { return manifest.Dump(w, vfs.OS, dir) })
		},
	}, a.dumpTablesCommand())
	return cmd
}

func (a *app) dumpTablesCommand() *cobra.Command {
	var rows bool
	cmd := &cobra.Command{
		Use:   "sst [FILE]",
		Short: "Print tables: all of them, or those of one file such as 000031.sst",
		Args:  takes("at most one file", 0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			only := ""
			if len(args) == 1 {
				only = filepath.Base(args[0])
				if kind, _ := ids.ParseFileName(only); kind != ids.FileTable {
					return usagef("%s is not the name of a table file; they look like %s", quote(args[0]), ids.TableFileName(31))
				}
			}
			return a.dump(func(w io.Writer, dir string) error { return dumpTables(w, dir, only, rows) })
		},
	}
	cmd.Flags().BoolVar(&rows, "rows", false, "print every row")
	return cmd
}

// dump calls fn on the store's directory. With --json the text is put into one
// document, as it is.
func (a *app) dump(fn func(w io.Writer, dir string) error) error {
	dir, err := a.dataDir()
	if err != nil {
		return err
	}
	if err := looksLikeStore(dir); err != nil {
		return err
	}
	if !a.json {
		return fn(a.out, dir)
	}
	var text bytes.Buffer
	if err := fn(&text, dir); err != nil {
		return err
	}
	return a.printJSON(map[string]string{"text": text.String()})
}

// looksLikeStore refuses a directory that has no file of a store. One is enough:
// what is left of a broken store is worth looking at.
func looksLikeStore(dir string) error {
	names, err := vfs.OS.List(dir)
	if err != nil {
		return fmt.Errorf("dump: %w", err)
	}
	for _, name := range names {
		if kind, _ := ids.ParseFileName(name); kind != ids.FileOther || name == ids.CurrentName {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", dir, engine.ErrNotStore)
}

// dumpTables prints the tables that the manifest names, in the order of their
// files. What the manifest does not name is not a table of the store.
func dumpTables(w io.Writer, dir, only string, rows bool) error {
	state, _, err := manifest.Load(vfs.OS, dir)
	if errors.Is(err, manifest.ErrNoStore) {
		return fmt.Errorf("%s: %w", dir, engine.ErrNotStore)
	}
	if err != nil {
		return err
	}
	var metas []sstable.Meta
	for _, m := range state.Tables {
		if only == "" || ids.TableFileName(m.File) == only {
			metas = append(metas, m)
		}
	}
	if only != "" && len(metas) == 0 {
		return fmt.Errorf("no table of the store lies in %s; 'tine dump manifest' lists the tables", only)
	}
	slices.SortFunc(metas, func(x, y sstable.Meta) int {
		if x.File != y.File {
			return int(x.File) - int(y.File)
		}
		return int(x.Offset) - int(y.Offset)
	})
	marks := map[ids.TableID][]manifest.Marks{}
	for key, v := range state.Marks {
		marks[key.Table] = append(marks[key.Table], manifest.Marks{Node: key.Node, Table: key.Table, Vector: v})
	}
	tables := sstable.NewTables(vfs.OS, dir, sstable.NewCache(1<<20), 4)
	for i := range metas {
		if err = dumpTable(w, tables, &metas[i], rows); err != nil {
			break
		}
		if err = dumpMarks(w, marks[metas[i].ID], rows); err != nil {
			break
		}
	}
	return errors.Join(err, tables.Close())
}

// dumpMarks prints who marks rows of a table dead.
func dumpMarks(w io.Writer, marks []manifest.Marks, rows bool) error {
	slices.SortFunc(marks, func(x, y manifest.Marks) int { return cmp.Compare(x.Node, y.Node) })
	if len(marks) == 0 {
		return nil
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "dead rows   marked by %s nodes\n", picture.Count(len(marks)))
	for _, m := range marks {
		fmt.Fprintf(&text, "            on paths through node %d: %d of %d rows", m.Node, m.Vector.Dead(), m.Vector.Rows())
		if rows {
			fmt.Fprintf(&text, ", %v", m.Vector.Bitmap().ToArray())
		}
		text.WriteByte('\n')
	}
	_, err := w.Write(text.Bytes())
	return err
}

func dumpTable(w io.Writer, tables *sstable.Tables, m *sstable.Meta, rows bool) error {
	r, err := tables.Reader(m)
	if err != nil {
		return err
	}
	return sstable.Dump(w, r, rows)
}
