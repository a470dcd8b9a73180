package main

import (
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the table of mutants in docs/reliability.md")

const root = "../.."

func all(t *testing.T) []mutant {
	t.Helper()
	mutants, err := load("patches")
	require.NoError(t, err)
	return mutants
}

// Whoever changes the lines that a mutant breaks renews the mutant with them.
func TestEveryPatchAppliesAndChangesSomething(t *testing.T) {
	for _, m := range all(t) {
		for _, e := range m.edits {
			text, err := os.ReadFile(filepath.Join(root, e.name))
			require.NoError(t, err, m.name)
			changed, err := e.apply(string(text))
			if err != nil {
				t.Errorf("renew the patch %s: %v", m.name, err)
				continue
			}
			require.NotEqual(t, string(text), changed, m.name)
			_, err = parser.ParseFile(token.NewFileSet(), e.name, changed, parser.SkipObjectResolution)
			require.NoError(t, err, m.name)
		}
	}
}

func TestEveryTestThatAMutantNamesIsThere(t *testing.T) {
	names := map[string][]string{} // by package
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	for _, m := range all(t) {
		for _, kill := range m.tests {
			if names[kill.pkg] == nil {
				files, err := filepath.Glob(filepath.Join(root, kill.pkg, "*_test.go"))
				require.NoError(t, err)
				for _, file := range files {
					text, err := os.ReadFile(file)
					require.NoError(t, err)
					for _, found := range function.FindAllStringSubmatch(string(text), -1) {
						names[kill.pkg] = append(names[kill.pkg], found[1])
					}
				}
			}
			whole, _, _ := strings.Cut(kill.pattern, "/")
			pattern, err := regexp.Compile(whole)
			require.NoError(t, err, m.name)
			require.True(t, slices.ContainsFunc(names[kill.pkg], pattern.MatchString), "%s: there is no test %s", m.name, kill)
		}
	}
}

// The list that people read is the one that is run.
func TestTheTableInTheDocumentationIsThatOfThePatches(t *testing.T) {
	const file = root + "/docs/reliability.md"
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var b strings.Builder
	mutants := all(t)
	fmt.Fprintf(&b, "All %d are killed:\n\n| mutant | what it breaks | tests that must kill it |\n|---|---|---|\n", len(mutants))
	for _, m := range mutants {
		var tests []string
		for _, kill := range m.tests {
			tests = append(tests, strings.TrimPrefix(kill.String(), "./"))
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m.name, m.breaks, strings.Join(tests, ", "))
	}
	table := regexp.MustCompile(`All \d+ are killed:\n\n(\|.*\n)+`)
	require.True(t, table.Match(text), "%s has no table of mutants", file)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(table.ReplaceAllLiteralString(string(text), b.String())), 0o644))
		return
	}
	require.Equal(t, b.String(), string(table.Find(text)), "run go test ./fuzz/mutants -update")
}

func TestPatchesApplyAsLongAsTheirLinesAreThere(t *testing.T) {
	const patch = "--- a/x\n+++ b/x\n@@ -2,5 +2,5 @@\n b\n c\n-d\n+D\n e\n f\n"
	for _, c := range []struct{ name, text, want string }{
		{"the lines stand where they stood", "a\nb\nc\nd\ne\nf\n", "a\nb\nc\nD\ne\nf\n"},
		{"the lines have moved down", "1\n2\n3\n4\n5\nb\nc\nd\ne\nf", "1\n2\n3\n4\n5\nb\nc\nD\ne\nf"},
		{"of two places the nearer one counts", "a\nb\nc\nd\ne\nf\n1\n2\n3\nb\nc\nd\ne\nf", "a\nb\nc\nD\ne\nf\n1\n2\n3\nb\nc\nd\ne\nf"},
		{"an outer line is another one now", "a\nB\nc\nd\ne\nf\n", "a\nB\nc\nD\ne\nf\n"},
		{"two lines before are others now", "a\nB\nC\nd\ne\nf\n", "a\nB\nC\nD\ne\nf\n"},
		{"a line has come in behind", "a\nb\nc\nd\nnew\ne\nf\n", "a\nb\nc\nD\nnew\ne\nf\n"},
		{"with other lines around it there are two places", "x\nc\nd\ny\nc\nd\n", ""},
		{"three lines around it are others now", "a\nB\nC\nd\ne\nF\n", ""},
		{"the line to be changed is another one now", "a\nb\nc\nx\ne\nf\n", ""},
		{"the patch is applied already", "a\nb\nc\nD\ne\nf\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			edits, err := parseEdits(patch)
			require.NoError(t, err)
			got, err := edits[0].apply(c.text)
			if c.want == "" {
				require.ErrorContains(t, err, "does not apply")
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestTheLaterChangesOfAPatchFollowTheEarlierOnes(t *testing.T) {
	edits, err := parseEdits("+++ b/x\n@@ -1,2 +1,4 @@\n a\n+1\n+2\n b\n@@ -5,3 +7,2 @@\n c\n-d\n e\n")
	require.NoError(t, err)
	got, err := edits[0].apply("a\nb\nx\nx\nc\nd\ne\n")
	require.NoError(t, err)
	require.Equal(t, "a\n1\n2\nb\nx\nx\nc\ne\n", got)
}

func TestOnlyAFailingTestKills(t *testing.T) {
	for _, c := range []struct {
		name, out string
		want      endKind
		what      string
	}{
		{"a test fails", "=== RUN   TestA\n--- FAIL: TestA (0.1s)\nFAIL", failed, "TestA"},
		{"a case of a test fails", "=== RUN   TestA\n=== RUN   TestA/b\n--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/b (0.0s)\nFAIL", failed, "TestA"},
		{"a goroutine panics", "=== RUN   TestA\npanic: invariant: x\n\ngoroutine 7", failed, "TestA (panic: invariant: x)"},
		{"the time is over", "=== RUN   TestA\npanic: test timed out after 1s\n", hung, "TestA"},
		{"the test does not compile", "# x\n./a.go:1: undefined\nFAIL\tx [build failed]\n", broken, ""},
		{"the system ends it", "=== RUN   TestA\nsignal: killed\nFAIL\tx\t3s\n", broken, ""},
		{"go test fails and nobody knows why", "go: no space left on device\n", broken, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			end := readEnd(c.out, true)
			require.Equal(t, c.want, end.kind)
			if c.what != "" {
				require.Equal(t, c.what, end.what)
			}
		})
	}
	require.Equal(t, passed, readEnd("--- PASS: TestA\nok", false).kind)
	require.Equal(t, broken, readEnd("testing: warning: no tests to run\nok x 0.1s [no tests to run]", false).kind)
}

func TestAfterSomeDaysEachMutantHadItsTurn(t *testing.T) {
	var some []mutant
	for i := range 23 {
		some = append(some, mutant{name: fmt.Sprintf("m%02d", i)})
	}
	seen := map[string]int{}
	for day := 20000; day < 20005; day++ {
		few := rotated(some, day, 5)
		require.LessOrEqual(t, len(few), 5)
		for _, m := range few {
			seen[m.name]++
		}
	}
	require.Len(t, seen, 23)
	parts := 0
	for i := 1; i <= 4; i++ {
		part, err := choice{shard: fmt.Sprintf("%d/4", i)}.of(some)
		require.NoError(t, err)
		parts += len(part)
		for _, m := range part {
			seen[m.name]++
		}
	}
	require.Equal(t, 23, parts)
	for _, n := range seen {
		require.Equal(t, 2, n)
	}
	_, err := choice{only: "m01,nobody"}.of(some)
	require.ErrorContains(t, err, "nobody")
	_, err = choice{shard: "0/4"}.of(some)
	require.Error(t, err)
	_, err = choice{rotate: "yesterday"}.of(some)
	require.Error(t, err)
}
