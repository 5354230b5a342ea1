package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/memory"
)

// Transfer measures how fast a snapshot moves from one node to another, beside what a
// connection and a disk do by themselves.

// transferSettings are the flags of bench transfer.
type transferSettings struct {
	bytes      uint64
	chunkBytes int
	rounds     int
	dir        string
}

const transferUsage = `Bench transfer measures how fast a snapshot moves from a leader to a learner over TCP on
127.0.0.1, and prints one line of JSON: from the first byte to the durable rename, and by
turns with it one bare connection of the same kind, and one file that is written and synced.

Flags of a transfer:
`

func transferFlags(s *transferSettings) (flags *flag.FlagSet, text *string) {
	flags = flag.NewFlagSet("bench transfer", flag.ContinueOnError)
	text = flags.String("bytes", "1GiB", "`size` of the snapshot, with or without KiB, MiB or GiB")
	flags.IntVar(&s.chunkBytes, "chunk", 0, "`bytes` of a piece (default that of the library)")
	flags.IntVar(&s.rounds, "rounds", 3, "transfers, each to another node; medians are printed")
	flags.StringVar(&s.dir, "dir", "", "`directory` in which the data directory is made, and removed at the end (default the system's for temporary files)")
	return flags, text
}

func parseTransfer(arguments []string, out io.Writer) (s transferSettings, err error) {
	flags, text := transferFlags(&s)
	if err := parse(flags, transferUsage, arguments, out); err != nil {
		return s, err
	}
	if s.bytes, err = parseBytes(*text); err != nil {
		return s, misuse("-bytes %q: %v", *text, err)
	}
	switch {
	case s.bytes < 1<<10 || s.bytes > 1<<40:
		return s, misuse("-bytes %s: not between 1KiB and 1024GiB", *text)
	case s.rounds < 1 || s.rounds > 100:
		return s, misuse("-rounds %d: not between 1 and 100", s.rounds)
	case s.chunkBytes < 0 || s.chunkBytes > 4<<20:
		return s, misuse("-chunk %d: not between 0 and 4 MiB", s.chunkBytes)
	}
	return s, nil
}

// parseBytes reads a number of bytes with a unit.
func parseBytes(text string) (uint64, error) {
	factor := uint64(1)
	for unit, of := range map[string]uint64{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
		if number, has := strings.CutSuffix(text, unit); has {
			text, factor = number, of
			break
		}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n > 1<<62/factor {
		return 0, errors.New("it is no size such as 1GiB")
	}
	return n * factor, nil
}

// transferResult is the line of JSON.
type transferResult struct {
	Bytes          uint64  `json:"bytes"`
	Rounds         int     `json:"rounds"`
	MiBPerSec      float64 `json:"mib_per_sec"`
	ConnectionMiBs float64 `json:"connection_mib_per_sec"`
	DiskMiBs       float64 `json:"disk_mib_per_sec"`
	Ratio          float64 `json:"ratio"`
	BuildMiBs      float64 `json:"build_mib_per_sec"`
	RestoreMiBs    float64 `json:"restore_mib_per_sec"`
}

func transferCommand(ctx context.Context, arguments []string, stdout, stderr io.Writer) error {
	s, err := parseTransfer(arguments, stderr)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.dir, "bench-transfer-")
	if err != nil {
		return err
	}
	r, err := measureTransfers(ctx, &s, dir)
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		return err
	}
	return json.NewEncoder(stdout).Encode(r)
}

func measureTransfers(ctx context.Context, s *transferSettings, dir string) (r transferResult, err error) {
	c := &movers{settings: s, dir: dir}
	defer func() { err = errors.Join(err, c.close()) }()
	built, err := c.lead(ctx)
	if err != nil {
		return r, fmt.Errorf("the leader: %w", err)
	}
	var moved, connections, disks, restores []float64
	for round := range s.rounds {
		disk, err := writeBare(filepath.Join(dir, "bare"), s)
		if err != nil {
			return r, fmt.Errorf("the bare disk: %w", err)
		}
		connection, err := moveBare(ctx, s)
		if err != nil {
			return r, fmt.Errorf("the bare connection: %w", err)
		}
		took, restored, err := c.move(ctx, troupe.NodeID(round+2))
		if err != nil {
			return r, fmt.Errorf("the transfer: %w", err)
		}
		disks, connections = append(disks, s.rate(disk)), append(connections, s.rate(connection))
		moved, restores = append(moved, s.rate(took)), append(restores, s.rate(restored))
	}
	for _, rates := range [][]float64{moved, connections, disks, restores} {
		slices.Sort(rates)
	}
	r = transferResult{
		Bytes: s.bytes, Rounds: s.rounds, MiBPerSec: median(moved), ConnectionMiBs: median(connections), DiskMiBs: median(disks),
		BuildMiBs: s.rate(built), RestoreMiBs: median(restores),
	}
	r.Ratio = r.MiBPerSec / min(r.ConnectionMiBs, r.DiskMiBs)
	return r, nil
}

// rate is how many MiB a second the snapshot has moved at.
func (s *transferSettings) rate(took time.Duration) float64 {
	return float64(s.bytes) / (1 << 20) / took.Seconds()
}

// writeBare writes and syncs a file of the snapshot's size.
func writeBare(name string, s *transferSettings) (took time.Duration, err error) {
	begun := time.Now()
	f, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	if _, err = (&filler{bytes: s.bytes}).WriteTo(f); err == nil {
		err = f.Sync()
	}
	took = time.Since(begun)
	return took, errors.Join(err, f.Close(), os.Remove(name))
}

// transferEntries is after how many entries the leader has built its only snapshot.
const transferEntries = 64

// movers are the nodes: a leader that has a snapshot, and learners that get it.
type movers struct {
	settings *transferSettings
	dir      string
	leader   *troupe.Raft
	rafts    []*troupe.Raft
}

func (c *movers) start(ctx context.Context, id troupe.NodeID, machine *filled) (*troupe.Raft, *timedStore, error) {
	store, err := files.Open(filepath.Join(c.dir, fmt.Sprintf("node-%d", id)), nil)
	if err != nil {
		return nil, nil, err
	}
	timed := &timedStore{Store: store, committed: make(chan time.Time, 1)}
	network, err := tcp.Listen(tcp.Config{Address: "127.0.0.1:0"})
	if err != nil {
		return nil, nil, err
	}
	raft, err := troupe.Start(ctx, troupe.NodeConfig{ID: id, Network: network, Log: memory.New(id), Snapshots: timed}, troupe.Config{
		StateMachine: machine, SnapshotEntries: transferEntries - 4, KeepEntries: 1, SnapshotLogBytes: troupe.Never,
		SnapshotChunkBytes: c.settings.chunkBytes,
		// What is purged is not kept in memory either.
		CommandBytesMax: 1 << 10, LogCacheBytesMax: 1 << 13,
	})
	if err != nil {
		return nil, nil, errors.Join(err, network.Close())
	}
	c.rafts = append(c.rafts, raft)
	return raft, timed, nil
}

// lead starts a leader and lets it build its snapshot.
func (c *movers) lead(ctx context.Context) (took time.Duration, err error) {
	machine := &filled{bytes: c.settings.bytes}
	raft, store, err := c.start(ctx, 1, machine)
	if err != nil {
		return 0, err
	}
	c.leader = raft
	if err := raft.Bootstrap(ctx, troupe.At(1, raft.Node().Address())); err != nil {
		return 0, err
	}
	for range transferEntries {
		if _, err := raft.Propose(ctx, make([]byte, 1<<10)); err != nil {
			return 0, err
		}
	}
	select {
	case at := <-store.committed:
		took = at.Sub(store.begun)
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return took, raft.Wait(ctx, func(s troupe.Status) bool { return s.Purged > 0 })
}

// move sends the snapshot to a new learner, and measures that and the restoring.
func (c *movers) move(ctx context.Context, id troupe.NodeID) (took, restored time.Duration, err error) {
	machine := &filled{bytes: c.settings.bytes, restored: make(chan time.Duration, 1)}
	raft, store, err := c.start(ctx, id, machine)
	if err != nil {
		return 0, 0, err
	}
	if _, err := c.leader.ChangeMembers(ctx, []troupe.Change{troupe.AddLearner(id, raft.Node().Address())}); err != nil {
		return 0, 0, err
	}
	select {
	case at := <-store.committed:
		took = at.Sub(store.begun)
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	select {
	case restored = <-machine.restored:
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	}
	raft.Kill()
	return took, restored, os.RemoveAll(filepath.Join(c.dir, fmt.Sprintf("node-%d", id)))
}

func (c *movers) close() error {
	for _, raft := range c.rafts {
		raft.Kill()
	}
	return nil
}
