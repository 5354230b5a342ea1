package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// contender is who does the work in one run: a peer, or this module, with one of
// its stores.
type contender struct {
	peer, store string
	mode        string // the only one that it is for, "" for any
}

// ours is the library that this module holds.
const ours = "troupe"

var peers = []contender{
	{peer: "hashicorp", mode: "mem"},
	{peer: "hashicorp", mode: "disk", store: "wal"},
	{peer: "hashicorp", mode: "disk", store: "bolt"},
	{peer: "etcd"},
	{peer: "dragonboat", mode: "mem"},
	{peer: "dragonboat", mode: "disk", store: "tan"},
	{peer: "dragonboat", mode: "disk", store: "pebble"},
}

// runProgram executes a program and returns what it has printed.
type runProgram func(ctx context.Context, program string, arguments ...string) ([]byte, error)

// sweep is the work of one sweep.
type sweep struct {
	settings   sweepSettings
	out        io.Writer // for people
	run        runProgram
	self       string // this program
	peerBinary string // "" when there are no peers
	dir        string // for the data of the runs
	failures   int
}

// sweepCommand does what bench sweep is asked for.
func sweepCommand(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	s, err := parseSweepSettings(arguments, stdout)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.out, 0o777); err != nil {
		return err
	}
	from, failures := s.from, 0
	if from == "" {
		from = filepath.Join(s.out, "results.jsonl")
		w := &sweep{settings: s, out: stderr, run: runQuietly}
		if err := w.all(ctx, from); err != nil {
			return err
		}
		failures = w.failures
	}
	results, err := readResults(from)
	if err != nil {
		return err
	}
	if err := publish(&s, results, stdout); err != nil {
		return err
	}
	if failures > 0 {
		return fmt.Errorf("%d runs failed, and the table lacks them", failures)
	}
	return nil
}

// all runs the whole grid and writes the results into the file of that name.
func (w *sweep) all(ctx context.Context, name string) (err error) {
	if w.self == "" {
		if w.self, err = os.Executable(); err != nil {
			return err
		}
	}
	if w.dir, err = os.MkdirTemp(w.settings.dir, "troupe-sweep-"); err != nil {
		return fmt.Errorf("-dir: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(w.dir)) }()
	mode := os.O_EXCL
	if w.settings.add {
		mode = os.O_APPEND
	}
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|mode, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return misuse("%s is there already: -append adds to it, another -out leaves it", name)
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := w.findPeers(ctx); err != nil {
		return err
	}
	for repeat := range w.settings.repeats {
		for _, c := range w.settings.cells() {
			field := w.contenders(c.mode)
			for turn := range field {
				// Nobody is always the first, or always behind the same one.
				if err := w.one(ctx, c, field[(turn+repeat)%len(field)], file); err != nil {
					return err
				}
			}
		}
		fmt.Fprintf(w.out, "round %d of %d is done\n", repeat+1, w.settings.repeats)
	}
	return nil
}

// findPeers builds the peers' program, if need be.
func (w *sweep) findPeers(ctx context.Context) error {
	w.peerBinary = w.settings.peerBinary
	if w.settings.peers == "" {
		return nil
	}
	w.peerBinary = filepath.Join(w.dir, "peers.exe")
	build := exec.CommandContext(ctx, "go", "build", "-o", w.peerBinary, ".")
	build.Dir = w.settings.peers
	// The peers are no part of the workspace: they run with the versions that they ask for.
	build.Env = append(os.Environ(), "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("-peers: go build: %w\n%s", err, output)
	}
	return nil
}

// contenders are those who run a mode.
func (w *sweep) contenders(mode string) []contender {
	field := []contender{{peer: ours}}
	if w.peerBinary == "" {
		return field
	}
	for _, p := range peers {
		if (p.mode == "" || p.mode == mode) && slices.Contains(w.settings.with, p.peer) {
			field = append(field, p)
		}
	}
	return field
}

// one does one run and appends its line to results. A run that fails is reported
// and counted, and the sweep goes on.
func (w *sweep) one(ctx context.Context, c cell, who contender, results io.Writer) error {
	program, arguments := w.self, append(w.settings.arguments(c), "-dir", w.dir)
	if who.peer != ours {
		program, arguments = w.peerBinary, append(arguments, "-peer", who.peer)
	}
	if who.store != "" {
		arguments = append(arguments, "-store", who.store)
	}
	limited, cancel := context.WithTimeout(ctx, w.settings.runLimit())
	defer cancel()
	output, err := w.run(limited, program, arguments...)
	var r result
	if err == nil {
		err = json.Unmarshal(output, &r)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped early: %w", ctx.Err())
	}
	name := strings.TrimSuffix(who.peer+"-"+who.store, "-")
	if err != nil {
		w.failures++
		fmt.Fprintf(w.out, "%s, %d B, %d clients, %s: %v\n", c.mode, c.payloadBytes, c.clients, name, err)
		return nil
	}
	fmt.Fprintf(w.out, "%-4s %6d B %6d clients  %-18s %9.0f ops/s  p99 %8.3f ms\n",
		c.mode, c.payloadBytes, c.clients, name, r.PerSecond, r.P99us/1000)
	_, err = fmt.Fprintf(results, "%s\n", bytes.TrimSpace(output))
	return err
}

// stopGrace is for how long a run may tidy up after it was told to stop.
const stopGrace = 15 * time.Second

// runQuietly runs a program and returns what it has printed; its error says what
// it has complained of. When ctx ends, the program is asked to stop.
func runQuietly(ctx context.Context, program string, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = stopGrace
	var complaints bytes.Buffer
	command.Stderr = &complaints
	output, err := command.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(complaints.Bytes()))
	}
	return output, err
}
