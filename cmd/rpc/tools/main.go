// Command tools generates the Go code of package tinepb from tine.proto. It is a
// module of its own, whose go.mod pins the compiler and the two generators, so that
// neither is a dependency of the node.
//
//	go -C cmd/rpc/tools run . -out ../tinepb
//
// The life of one run: compile the proto file to descriptors, hand these to each
// generator as protoc would, and write what they answer (generate.go).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	in := flag.String("in", "../tinepb", "the folder of tine.proto")
	out := flag.String("out", "../tinepb", "where to write the generated files")
	flag.Parse()
	files, err := generate(context.Background(), *in, "tine.proto")
	for name, content := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join(*out, name), []byte(content), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}
