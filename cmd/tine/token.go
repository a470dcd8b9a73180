package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/rpc/auth"
	"github.com/tinedb/tine/cmd/tine/internal/picture"
)

func (a *app) tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make tokens for a node, and check a tokens file",
		Long: `A tokens file says who may do what on a node: one line each, with a name, how they are
known, and what they may do.

  ci   sha256:HASH       read=main,run-* write=run-* fork=run-*
  ops  cert:"Operations"  read=* admin

NAMES are those of forks, divided by commas; a star at the end stands for all names
that begin so, and an @ at the beginning for snapshots. "*" is everything.

  read=NAMES    get, scan, show and list; be what is forked, reset to, put on record
  write=NAMES   set and delete
  fork=NAMES    make, rename, reset and drop forks and snapshots of these names
  admin         counts, check, flush, compact, and backup of everything
  rate=N        calls a second
  bytes=SIZE    bytes of keys and values a second, such as 8MiB
  expires=DAY   2030-01-31, or a time such as 2030-01-31T12:00:00Z

What is not allowed is denied.`,
	}
	group(cmd)
	cmd.AddCommand(a.tokenNewCommand(), a.tokenCheckCommand())
	return cmd
}

func (a *app) tokenNewCommand() *cobra.Command {
	var appendTo string
	values := map[string]*string{}
	var admin bool
	order := []string{"read", "write", "fork", "rate", "bytes", "expires"}
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a token and its line for the tokens file",
		Long: `tine token new prints a token, this once, and the line that lets it in. Only a hash of
the token stands in the line. With --append the line is added to a file and only the
token is printed.

  tine token new ci --read main,run-* --write run-* --fork run-* --append tokens >ci.token`,
		Args: takes("one name", 1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var fields []string
			for _, name := range order {
				if cmd.Flags().Changed(name) {
					fields = append(fields, name+"="+*values[name])
				}
			}
			if admin {
				fields = append(fields, "admin")
			}
			token, entry, err := auth.Issue(args[0], fields...)
			if err != nil {
				return usagef("%v", err)
			}
			if appendTo != "" {
				if err := appendEntry(appendTo, &entry); err != nil {
					return err
				}
			}
			switch {
			case a.json:
				return a.printJSON(map[string]string{"token": token, "line": entry.Line()})
			case appendTo != "":
				return a.printf("%s\n", token)
			}
			return a.printf("token: %s\nline:  %s\n", token, entry.Line())
		},
	}
	for name, usage := range map[string]string{
		"read": "names that may be read", "write": "names that may be written", "fork": "names that may be made, reset and dropped",
		"rate": "calls a second", "bytes": "bytes a second", "expires": "day or time from which on it is refused",
	} {
		values[name] = cmd.Flags().String(name, "", usage)
	}
	cmd.Flags().BoolVar(&admin, "admin", false, "may look after the node")
	cmd.Flags().StringVar(&appendTo, "append", "", "tokens file to add the line to; it is made if there is none")
	return cmd
}

// appendEntry adds a line to a tokens file. It is written anew beside the old one and
// renamed, so that a node that looks at it meets it whole. Mode, owner and group stay,
// for the node must be able to read it still, and a link to the file stays a link. A file
// that a node would refuse with the line in it stays as it is.
func appendEntry(path string, e *auth.Entry) error {
	path, old, err := resolved(path)
	if err != nil {
		return err
	}
	var before []byte
	if old != nil {
		if before, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	if len(before) > 0 && !bytes.HasSuffix(before, []byte("\n")) {
		before = append(before, '\n')
	}
	text := append(before, e.Line()+"\n"...)
	if _, err := auth.Parse(string(text)); err != nil {
		return fmt.Errorf("tokens file %s: %w", path, err)
	}
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if old != nil {
		// The mode last: with another owner it would let others in.
		if err = giveOwner(f, old); err == nil {
			err = f.Chmod(old.Mode().Perm())
		}
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(fresh, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	return nil
}

// resolved follows links, and says what is there: nil if there is nothing.
func resolved(path string) (string, fs.FileInfo, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return path, nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", nil, err // a link to nothing, too
	}
	info, err := os.Stat(target)
	if err != nil {
		return "", nil, err
	}
	return target, info, nil
}

func (a *app) tokenCheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Check a tokens file as a node would, and say who may do what",
		Args:  takes("one file", 1, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			tokens, err := auth.Load(args[0])
			if err != nil {
				return err
			}
			rows := [][]string{{"NAME", "MAY", "STATE"}}
			for _, e := range tokens.Entries() {
				state := "valid"
				if !e.Expires.IsZero() && !time.Now().Before(e.Expires) {
					state = "expired"
				}
				if a.json {
					if err := a.printJSON(map[string]string{"name": e.Name, "may": e.Grants(), "state": state}); err != nil {
						return err
					}
				}
				rows = append(rows, []string{e.Name, e.Grants(), state})
			}
			if a.json {
				return nil
			}
			return picture.Table(a.out, rows)
		},
	}
}
