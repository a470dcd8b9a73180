package compaction

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tinedb/tine/internal/ids"
)

var update = flag.Bool("update", false, "write the scripts' outputs anew")

// A script in testdata is blocks of lines with a blank line between. A block
// begins with a comment, which is its name. Its commands:
//
//	policy FIELD=N …     a zero or missing field has its default
//	path PICTURE         plans for one path until there is none
//	shadowed PICTURE     where a store at rest looks for rows that newer ones shadow
//	write FORK ITEM      put a node on top of a fork, which need not exist yet
//	fork NEW OLD         give a fork (or snapshot) another name
//	mark FORK N=ROWS …   the top node of the fork marks rows of item N of its path
//	age                  what was written until now is young no more
//	drop FORK
//	flush FORK           the memory nodes of its path become tables
//	unclaim              all jobs end
//	rest                 plans for all entered nodes until there is none, then
//	                     a picture of the path of each name
//
// Lines that begin with ">" are what path, shadowed and rest said.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		var out []string
		for _, block := range strings.Split(strings.TrimSpace(string(content)), "\n\n") {
			lines := strings.Split(block, "\n")
			name, ok := strings.CutPrefix(lines[0], "# ")
			require.True(t, ok, "%s: a block must begin with its name: %s", file, lines[0])
			t.Run(name, func(t *testing.T) {
				got := runBlock(t, lines)
				out = append(out, got)
				if !*update {
					require.Equal(t, block, got)
				}
			})
		}
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(strings.Join(out, "\n\n")+"\n"), 0o644))
		}
	}
}

func runBlock(t *testing.T, lines []string) string {
	var out bytes.Buffer
	s := newSimTree(t, DefaultPolicy())
	s.log = func(name string, path []Item, plan Plan) { fmt.Fprintf(&out, "> %s: %s\n", name, plan) }
	for _, line := range lines {
		if strings.HasPrefix(line, ">") {
			continue
		}
		fmt.Fprintln(&out, line)
		words := strings.Fields(line)
		switch command, args := words[0], words[1:]; command {
		case "#":
		case "policy":
			for _, arg := range args {
				setPolicy(t, &s.policy, arg)
			}
		case "path":
			path, err := parsePath(strings.Join(args, " "))
			require.NoError(t, err)
			runPath(t, &out, path, s.policy)
		case "shadowed":
			path, err := parsePath(strings.Join(args, " "))
			require.NoError(t, err)
			runShadowed(t, &out, path, s.policy)
		case "write":
			path, err := parsePath(args[1])
			require.NoError(t, err)
			s.write(args[0], path[0])
		case "fork":
			s.fork(args[0], args[1])
		case "mark":
			for _, arg := range args[1:] {
				var item int
				var rows uint64
				_, err := fmt.Sscanf(arg, "%d=%d", &item, &rows)
				require.NoError(t, err)
				s.mark(s.names[args[0]], item, rows)
			}
		case "age":
			for n := range s.nodes {
				n.item.Young = false
			}
		case "drop":
			s.drop(args[0])
		case "flush":
			s.flush(args[0], func(*simNode) bool { return true })
		case "unclaim":
			for n := range s.nodes {
				n.item.Claimed, n.item.ClaimedRead = false, false
			}
		case "rest":
			s.rest()
			for _, name := range slices.Sorted(maps.Keys(s.names)) {
				_, path := s.path(s.names[name])
				fmt.Fprintf(&out, "> %s  %s\n", name, drawPath(path))
			}
		default:
			require.Fail(t, "unknown command", line)
		}
	}
	return strings.TrimSpace(out.String())
}

func runPath(t *testing.T, out *bytes.Buffer, path []Item, p Policy) {
	for range len(path) + 10 {
		plan, ok := Pick(path, p)
		if !ok {
			fmt.Fprintf(out, "> rest %s\n", drawPath(path))
			return
		}
		checkPlan(t, path, plan)
		fmt.Fprintf(out, "> %s\n", plan)
		path = after(path, plan)
	}
	require.Fail(t, "does not come to rest", drawPath(path))
}

func runShadowed(t *testing.T, out *bytes.Buffer, path []Item, p Policy) {
	for i := range path {
		path[i].Node = ids.NodeID(len(path) - i)
	}
	passed := map[ids.NodeID]bool{}
	for {
		plan, ok := PickShadowed(path, p, func(newest Item) bool { return passed[newest.Node] })
		if !ok {
			break
		}
		checkPlan(t, path, plan)
		fmt.Fprintf(out, "> %s\n", plan)
		passed[path[plan.First].Node] = true
	}
	if len(passed) == 0 {
		fmt.Fprintln(out, "> nowhere")
	}
}

func setPolicy(t *testing.T, p *Policy, setting string) {
	field, value, _ := strings.Cut(setting, "=")
	n, err := strconv.Atoi(value)
	require.NoError(t, err)
	switch field {
	case "MaxMemory":
		p.MaxMemory = n
	case "MaxRuns":
		p.MaxRuns = n
	case "MaxNodes":
		p.MaxNodes = n
	case "MinMerge":
		p.MinMerge = n
	default:
		require.Fail(t, "unknown field", setting)
	}
}
