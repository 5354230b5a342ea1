package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/memory"
)

// recovery are the flags of recover.
type recovery struct {
	data    string
	members []string
	ask     time.Duration
	yes     bool
	force   bool

	id      uint64
	address string
}

func newRecover() *cobra.Command {
	var r recovery
	command := &cobra.Command{
		Use:   "recover",
		Short: "Make a survivor the only voter of a new cluster, when the quorum is lost for good",
		Long: `Make a survivor the only voter of a new cluster, when so many members are lost for
good that the others have no quorum. The node must not run. Without --yes the command
changes nothing, shows what would be lost and what would appear, and ends with exit
code 1: run it so on every survivor, and recover the one with the highest last term,
and among these with the highest last index.

All other members are asked first. If one of them answers, the command refuses: the
cluster may have its quorum, or get it back. --force recovers all the same.

Then start the node, wipe the data of all others, start them empty and without --init,
and add them: kv members add ID=HOST:PORT. Nothing stops old members that still have
their data from going on among themselves.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := r.complete(); err != nil {
				return err
			}
			return r.run(c.Context(), c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := command.Flags()
	f.StringVar(&r.data, "data", "", "directory of the survivor's data")
	f.StringSliceVar(&r.members, "members", nil, "the survivor, and where it is reached from now on: ID=HOST:PORT")
	f.DurationVar(&r.ask, "ask", 5*time.Second, "for how long the other members are waited for")
	f.BoolVar(&r.yes, "yes", false, "do it")
	f.BoolVar(&r.force, "force", false, "recover although another member answers, or this node was removed")
	mustRequire(command, "data")
	mustRequire(command, "members")
	return command
}

func (r *recovery) complete() error {
	if len(r.members) != 1 {
		return fmt.Errorf("--members: %d members: name the survivor alone, and add the others afterwards", len(r.members))
	}
	var err error
	if r.id, r.address, err = parseMember(r.members[0]); err != nil {
		return fmt.Errorf("--members: %w", err)
	}
	if r.ask <= 0 {
		return errors.New("--ask: not positive")
	}
	return nil
}

func (r *recovery) run(ctx context.Context, stdout, stderr io.Writer) (err error) {
	logger := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	dir := filepath.Join(r.data, raftDir)
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("--data: there is no node's data: %w", err)
	}
	log, err := badger.Open(dir, badger.Options{Node: troupe.NodeID(r.id), Inspect: !r.yes, Logger: logger})
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	snapshots, err := r.snapshots(ctx, logger)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if c, ok := snapshots.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	transport, err := tcp.Listen(tcp.Config{Address: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	groups, err := troupe.Recover(ctx, troupe.RecoverConfig{
		Log: log, Snapshots: snapshots, Network: transport, Address: r.address, AskLimit: r.ask, Force: r.force, DryRun: !r.yes,
	})
	todo := false
	for i := range groups {
		todo = todo || !groups[i].Alone && !groups[i].Done
		if _, writeErr := io.WriteString(stdout, recoveryText(&groups[i])); writeErr != nil {
			return errors.Join(err, writeErr)
		}
	}
	if err == nil && todo {
		return errors.New("nothing was changed; repeat it with --yes")
	}
	return err
}

// snapshots opens the snapshots, and makes no directory for them where there is none. For
// a plan they are only looked at: an opening removes what crashes left.
func (r *recovery) snapshots(ctx context.Context, logger *slog.Logger) (troupe.SnapshotStore, error) {
	dir := filepath.Join(r.data, snapshotsDir)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		return memory.NewSnapshots(), nil
	}
	if !r.yes {
		_, err := files.Inspect(ctx, dir, 1, false)
		return lookedAt(dir), err
	}
	return files.Open(dir, logger)
}

// lookedAt is a directory of snapshots in which nothing is changed.
type lookedAt string

// Newest implements troupe.SnapshotStore.
func (dir lookedAt) Newest(ctx context.Context, group troupe.GroupID) (newest core.SnapshotMeta, err error) {
	found, err := files.Inspect(ctx, string(dir), group, true)
	if err != nil {
		return newest, err
	}
	for _, f := range found { // the newest good one comes last
		switch {
		case f.Record: // it takes no snapshot's place
		case f.Err == nil:
			newest, err = f.Meta, nil
		case newest.Index == 0:
			err = f.Err
		}
	}
	return newest, err
}

// Recorded implements storage.Recorder.
func (dir lookedAt) Recorded(ctx context.Context, group troupe.GroupID) (core.SnapshotMeta, error) {
	found, err := files.Inspect(ctx, string(dir), group, true)
	for _, f := range found {
		if f.Record {
			return f.Meta, f.Err
		}
	}
	return core.SnapshotMeta{}, err
}

// Record implements storage.Recorder.
func (lookedAt) Record(context.Context, troupe.GroupID, core.SnapshotMeta) error {
	return storage.ErrInspection
}

// Create implements troupe.SnapshotStore.
func (lookedAt) Create(context.Context, troupe.GroupID, core.SnapshotMeta) (storage.SnapshotWriter, error) {
	return nil, storage.ErrInspection
}

// Open implements troupe.SnapshotStore.
func (lookedAt) Open(context.Context, troupe.GroupID, core.LogID) (storage.SnapshotReader, error) {
	return nil, storage.ErrInspection
}

// RemoveBelow implements troupe.SnapshotStore.
func (lookedAt) RemoveBelow(context.Context, troupe.GroupID, core.Index) error {
	return storage.ErrInspection
}

// recoveryText writes what is done to a group, for people.
func recoveryText(g *troupe.GroupRecovery) string {
	var b strings.Builder
	line := func(format string, arguments ...any) { fmt.Fprintf(&b, format+"\n", arguments...) }
	line("group %d of node %v, cluster %v: %v", g.Group, g.Self, g.Before, g.Members)
	line("  last term %d, last index %d, proposed at %s; committed %d; in term %d", g.Last.Term, g.Last.Index, g.LastTime.UTC().Format(time.RFC3339), g.Committed, g.Term)
	if g.Alone {
		line("  it decides alone already: there is nothing to recover")
		return b.String()
	}
	for _, p := range g.Others {
		kind := "learner"
		if p.Voter {
			kind = "voter"
		}
		line("  %s %v at %s: %s", kind, p.Identity, p.Address, p.Said)
	}
	line("  may be lost: whatever was acknowledged after entry %d of term %d", g.Last.Index, g.Last.Term)
	line("  may appear: %d entries after entry %d, which become committed and may never have been acknowledged", g.MayAppear(), g.Committed)
	tense := "becomes"
	if g.Done {
		tense = "has become"
	}
	line("  it %s cluster %v, of node %d alone at %s, from term %d on", tense, g.Cluster, g.Self.ID, g.Address, g.NewTerm)
	return b.String()
}
