package main

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tinedb/tine/cmd/tine/internal/picture"
)

func (a *app) statsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stats",
		Short: "Count forks, nodes, tables, bytes and what the cache did",
		Args:  takes("nothing", 0, 0),
		RunE: func(*cobra.Command, []string) error {
			return a.withStore(reading, func(store target) error {
				stats, err := store.Stats()
				if err != nil {
					return err
				}
				names, values := statFields(stats)
				if a.json {
					all := make(map[string]any, len(names))
					for i, name := range names {
						all[name] = values[i]
					}
					return a.printJSON(all)
				}
				rows := [][]string{{"WHAT", "COUNT"}}
				for i, name := range names {
					text := fmt.Sprint(values[i])
					if strings.HasSuffix(name, "bytes") || strings.HasPrefix(name, "bytes") {
						text = bytesText(values[i])
					}
					rows = append(rows, []string{strings.ReplaceAll(name, "_", " "), text})
				}
				return picture.Table(a.out, rows)
			})
		},
	}
}

// statFields gives the names and values of all fields, those of structs inside
// too, so that a number which the engine begins to count is shown without a
// change here.
func statFields(stats any) (names []string, values []any) {
	v := reflect.ValueOf(stats)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		name := snake(field.Name)
		if v.Field(i).Kind() == reflect.Struct {
			inner, innerValues := statFields(v.Field(i).Interface())
			for j := range inner {
				names, values = append(names, name+"_"+inner[j]), append(values, innerValues[j])
			}
			continue
		}
		names, values = append(names, name), append(values, v.Field(i).Interface())
	}
	return names, values
}

// snake turns WALBytes into wal_bytes.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && !unicode.IsUpper(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func bytesText(v any) string {
	switch n := reflect.ValueOf(v); {
	case n.CanInt():
		return picture.Size(n.Int())
	case n.CanUint():
		return picture.Size(n.Uint())
	}
	return fmt.Sprint(v)
}
