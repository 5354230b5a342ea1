package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
)

// restoringSuffix ends the name of a directory that is being made.
const restoringSuffix = ".restoring"

func newRestore() *cobra.Command {
	var (
		r          restoring
		bump, more uint64
	)
	command := &cobra.Command{
		Use:   "restore",
		Short: "Make a new cluster of one node of a backup",
		Long: `Make the data directory of a new cluster of one node, from a file of backup. The
cluster has a new id, so that no node of the old one takes part in it. Indexes and the
times of entries go on from the backup, and the term rises by --bump-term. Start the
node with serve, and add others with members add.

The directory is there when it is whole, and not before. One that holds anything is
refused.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if r.id == 0 {
				return errors.New("--id: ids begin at 1")
			}
			if err := checkAddress(r.address); err != nil {
				return fmt.Errorf("--raft: %w", err)
			}
			r.bumpTerm, r.bumpIndex = bump, more
			if bump == 0 {
				return fmt.Errorf("--bump-term: 0: the term has to rise, so that no fencing token of the old cluster is given out again; without the flag it rises by %d", troupe.RestoreBumpTerm)
			}
			ctx, stop := interruptible(c.Context())
			defer stop()
			made, err := r.run(ctx)
			if err != nil {
				return err
			}
			return writeLine(c.OutOrStdout(), made)
		},
	}
	f := command.Flags()
	f.StringVar(&r.from, "from", "", "the file")
	f.StringVar(&r.data, "data", "", "directory of the node's data, which is made")
	f.Uint64Var(&r.id, "id", 0, "id of the node, from 1 on")
	f.StringVar(&r.address, "raft", "", "HOST:PORT where the other nodes will reach it")
	f.Uint64Var(&bump, "bump-term", troupe.RestoreBumpTerm, "by how much the term rises, at least 1, so that no fencing token of the old cluster is given out again")
	f.Uint64Var(&more, "bump-index", 0, "by how much the index rises, at most 1048576")
	for _, flag := range []string{"from", "data", "id", "raft"} {
		mustRequire(command, flag)
	}
	return command
}

// restoring is one restore.
type restoring struct {
	from, data, address     string
	id, bumpTerm, bumpIndex uint64
	// step, if not nil, is told each step that is about to be done, and ends the restore
	// there with an error: for tests.
	step func(string) error
}

// restoredLine is what restore writes.
type restoredLine struct {
	Data    string `json:"data"`
	ID      uint64 `json:"id"`
	Cluster string `json:"cluster"`
	Term    uint64 `json:"term"`
	Index   uint64 `json:"index"`
	Bytes   uint64 `json:"bytes"`
}

// run makes the directory aside, and gives it its name when it is whole and durable: a
// crash at any step leaves nothing under that name.
func (r *restoring) run(ctx context.Context) (line restoredLine, err error) {
	if err := r.checkTarget(); err != nil {
		return line, fmt.Errorf("--data: %w", err)
	}
	// What is wrong with the file is known before anything is made.
	f, err := os.Open(r.from)
	if err != nil {
		return line, fmt.Errorf("--from: %w", err)
	}
	defer f.Close()
	if _, err := troupe.VerifyBackup(endingReader{ctx, f}); err != nil {
		return line, fmt.Errorf("--from: %w", err)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return line, fmt.Errorf("--from: %w", err)
	}
	if resolved, err := filepath.EvalSymlinks(r.data); err == nil {
		r.data = resolved
	}
	aside := filepath.Clean(r.data) + restoringSuffix
	if err := removeInterrupted(aside); err != nil {
		return line, fmt.Errorf("--data: %w", err)
	}
	restored, err := r.fill(ctx, f, aside)
	if err == nil {
		err = r.publish(aside)
	}
	if err != nil {
		if r.step == nil { // else it is a crash
			err = errors.Join(err, os.RemoveAll(aside))
		}
		return line, err
	}
	return restoredLine{
		r.data, r.id, restored.Cluster.String(), uint64(restored.Term), uint64(restored.Last.Index), restored.Backup.SizeBytes,
	}, nil
}

// checkTarget refuses a directory in which there is anything.
func (r *restoring) checkTarget() error {
	names, err := os.ReadDir(r.data)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case len(names) > 0:
		return fmt.Errorf("%s is not empty: %w", r.data, &troupe.NotEmptyError{What: "there is " + names[0].Name()})
	case mounted(r.data):
		return fmt.Errorf("a file system is mounted at %s, whose place no other directory can take: name a directory in it", r.data)
	}
	return nil
}

// removeInterrupted removes what a restore left that ended in the middle, unless it is
// under way.
func removeInterrupted(aside string) error {
	store, err := badger.Open(filepath.Join(aside, raftDir), badger.Options{Inspect: true})
	var locked *badger.LockedError
	if errors.As(err, &locked) {
		return fmt.Errorf("another restore to it is under way: %w", err)
	}
	if err == nil {
		if err := store.Close(); err != nil {
			return err
		}
	}
	return os.RemoveAll(aside)
}

// fill makes the stores of the node.
func (r *restoring) fill(ctx context.Context, from *os.File, aside string) (restored troupe.Restored, err error) {
	if err := r.reach("log"); err != nil {
		return restored, err
	}
	log, err := badger.Open(filepath.Join(aside, raftDir), badger.Options{Node: troupe.NodeID(r.id)})
	if err != nil {
		return restored, fmt.Errorf("--data: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	if err := r.reach("snapshots"); err != nil {
		return restored, err
	}
	snapshots, err := files.Open(filepath.Join(aside, snapshotsDir), nil)
	if err != nil {
		return restored, fmt.Errorf("--data: %w", err)
	}
	defer func() { err = errors.Join(err, snapshots.Close()) }()
	if err := r.reach("content"); err != nil {
		return restored, err
	}
	return troupe.Restore(ctx, from, troupe.RestoreConfig{
		Address: r.address, Log: log, Snapshots: snapshots, Group: 1, BumpTerm: r.bumpTerm, BumpIndex: r.bumpIndex,
	})
}

// publish gives the directory its name.
func (r *restoring) publish(aside string) error {
	if err := r.reach("sync"); err != nil {
		return err
	}
	if err := syncDir(aside); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if err := r.reach("name"); err != nil {
		return err
	}
	// The old one is empty, or is not there. The rename fails if somebody has filled it.
	if err := os.Remove(r.data); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--data: %w", err)
	}
	if err := os.Rename(aside, r.data); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	if err := syncDir(filepath.Dir(filepath.Clean(r.data))); err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	return nil
}

func (r *restoring) reach(step string) error {
	if r.step == nil {
		return nil
	}
	return r.step(step)
}
