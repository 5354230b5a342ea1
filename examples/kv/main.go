// Kv is a replicated key-value store: a server that embeds troupe, and a client
// for its HTTP API, in one binary.
//
//	kv serve --id 1 --http 127.0.0.1:8001 --raft 127.0.0.1:9001 --data DIR --init 1=127.0.0.1:9001,2=...
//	kv init --members 1=127.0.0.1:9001,2=127.0.0.1:9002,3=127.0.0.1:9003
//	kv put KEY VALUE
//	kv get KEY
//
// Package internal/api describes the HTTP API, package internal/machine the
// state machines, package internal/cli how a node is put together.
package main

import (
	"context"
	"os"

	"github.com/trouperaft/troupe/examples/kv/internal/cli"
)

func main() {
	os.Exit(cli.Run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
