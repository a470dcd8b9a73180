package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/protoutil"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/pluginpb"
)

// generators are run in this order; both are pinned as tools of this module.
var generators = []string{"protoc-gen-go", "protoc-gen-go-grpc"}

// generate compiles a proto file that imports no other, and returns the generated
// files by name.
func generate(ctx context.Context, folder, name string) (map[string]string, error) {
	compiler := protocompile.Compiler{
		Resolver:       &protocompile.SourceResolver{ImportPaths: []string{folder}},
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	compiled, err := compiler.Compile(ctx, name)
	if err != nil {
		return nil, err
	}
	request := &pluginpb.CodeGeneratorRequest{
		FileToGenerate: []string{name},
		Parameter:      proto.String("paths=source_relative"),
		ProtoFile:      []*descriptorpb.FileDescriptorProto{protoutil.ProtoFromFileDescriptor(compiled[0])},
	}
	input, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
	if err != nil {
		return nil, err
	}
	files := make(map[string]string)
	for _, tool := range generators {
		cmd := exec.CommandContext(ctx, "go", "tool", tool)
		var stdout, stderr bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", tool, err, stderr.String())
		}
		var answer pluginpb.CodeGeneratorResponse
		if err := proto.Unmarshal(stdout.Bytes(), &answer); err != nil {
			return nil, fmt.Errorf("%s: %w", tool, err)
		}
		if answer.GetError() != "" {
			return nil, fmt.Errorf("%s: %s", tool, answer.GetError())
		}
		for _, f := range answer.GetFile() {
			files[f.GetName()] = f.GetContent()
		}
	}
	return files, nil
}
