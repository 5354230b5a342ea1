package troupe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// RestoreBumpTerm is by how much the term of a restored cluster rises if nothing else is
// said: the cluster that was backed up may go on for a while, and no fencing token of it
// is given out again.
const RestoreBumpTerm = 1 << 20

// restoreBumpIndexMax bounds by how much an index may rise: the log gets a blank entry for
// each.
const restoreBumpIndexMax = 1 << 20

// RestoreConfig says what a backup is restored to. The zero value of a field that is not
// required stands for its default.
type RestoreConfig struct {
	// Address is where other nodes will reach the one that is made. Required.
	Address string
	// Log and Snapshots are stores that were just made: they hold nothing, and Log has been
	// opened once. Required. Who opened them closes them.
	Log       LogStore
	Snapshots SnapshotStore
	// Group is the group that is made. Default: that of the backup.
	Group GroupID
	// BumpTerm is by how much the new cluster's term is above that of the member that gave
	// the backup. Default: [RestoreBumpTerm].
	BumpTerm uint64
	// BumpIndex is how many blank entries the new log begins with: above the indexes that
	// the old cluster has given out since the backup, for users that take an index for a
	// version. At most 1,048,576. Default: none.
	BumpIndex uint64
}

// Restored is a cluster that was made of a backup.
type Restored struct {
	// Backup is what the backup said of itself.
	Backup BackupMeta
	Group  GroupID
	// Node is the only member.
	Node Identity
	// Cluster is the new cluster's id, a secret.
	Cluster ClusterID
	// Term is that of the log's end: the first leader has a higher one. Last is the last
	// entry.
	Term Term
	Last LogID
}

// Restore makes a new cluster of one member of a backup: with a new cluster id, so that no
// member of the old one takes part, and with the identity of the log store that it is
// given. Indexes, the times of entries and what the state machine holds go on from the
// backup, and the term rises by BumpTerm. When the node is started, it restores its state
// machine, which must be a new one, and leads. Other nodes are added as to any cluster.
//
// What is wrong with the backup is a *[BackupError]. Stores that hold anything are refused
// with a *[NotEmptyError]. After an error the stores are to be thrown away: a node
// that is started on them nevertheless is empty, or fails with [ErrCorrupt].
func Restore(ctx context.Context, from io.Reader, config RestoreConfig) (Restored, error) {
	if err := config.validate(); err != nil {
		return Restored{}, err
	}
	backup, err := storage.NewBackupReader(from)
	if err != nil {
		return Restored{}, fmt.Errorf("troupe: %w", err)
	}
	r, err := config.plan(backup.Meta())
	if err != nil {
		return Restored{}, err
	}
	if err := config.checkEmpty(ctx, r.Group); err != nil {
		return Restored{}, err
	}
	meta := config.snapshot(&r)
	w, err := config.Snapshots.Create(ctx, r.Group, meta)
	if err != nil {
		return Restored{}, fmt.Errorf("troupe: restore: %w", err)
	}
	// The backup is whole before anything is there that a start would find.
	if _, err := io.Copy(w, snapshots.EndingReader(ctx, backup)); err != nil {
		return Restored{}, errors.Join(fmt.Errorf("troupe: restore: %w", err), w.Abort())
	}
	// The log comes first. A log without its snapshot is refused at every start; a snapshot
	// without its log would begin a cluster whose term has not risen.
	if err := config.writeLog(ctx, &r, meta.Time); err != nil {
		return Restored{}, errors.Join(fmt.Errorf("troupe: restore: %w", err), w.Abort())
	}
	if _, err := w.Commit(core.SnapshotMeta{}); err != nil {
		return Restored{}, fmt.Errorf("troupe: restore: %w", err)
	}
	r.Backup = backup.Meta()
	return r, nil
}

// NotEmptyError: a backup is restored to new stores, and something is in these.
type NotEmptyError struct {
	// What says what is there.
	What string
}

// Error implements error.
func (e *NotEmptyError) Error() string {
	return "troupe: a backup is restored to new stores only, and " + e.What
}

func (c *RestoreConfig) validate() error {
	field, rule := "", "is missing"
	switch {
	case c.Address == "":
		field = "Address"
	case len(c.Address) > membership.AddressBytesMax:
		field, rule = "Address", fmt.Sprintf("has %d bytes: at most %d", len(c.Address), membership.AddressBytesMax)
	case c.Log == nil:
		field = "Log"
	case c.Snapshots == nil:
		field = "Snapshots"
	case c.BumpIndex > restoreBumpIndexMax:
		field, rule = "BumpIndex", fmt.Sprintf("%d is more than %d", c.BumpIndex, restoreBumpIndexMax)
	case c.BumpTerm > termMax:
		field, rule = "BumpTerm", fmt.Sprintf("%d is more than 2^62", c.BumpTerm)
	default:
		return nil
	}
	return &ConfigError{Field: "RestoreConfig." + field, Rule: rule}
}

// termMax is the highest term and index (rule 32).
const termMax = 1 << 62

// plan is the cluster that comes of a backup.
func (c *RestoreConfig) plan(meta BackupMeta) (Restored, error) {
	bump := c.BumpTerm
	if bump == 0 {
		bump = RestoreBumpTerm
	}
	r := Restored{
		Backup: meta, Group: c.Group, Node: Identity{ID: c.Log.Header().Node, Incarnation: c.Log.Header().Incarnation},
		Term: max(meta.Term, meta.HardTerm) + Term(bump), Last: meta.LogID,
	}
	if r.Group == 0 {
		r.Group = meta.Group
	}
	if r.Term > termMax-RestoreBumpTerm || meta.Index > termMax-restoreBumpIndexMax {
		return r, &ConfigError{Field: "RestoreConfig.BumpTerm", Rule: fmt.Sprintf("leaves no room below 2^62: the term would be %d", r.Term)}
	}
	if c.BumpIndex > 0 {
		r.Last = LogID{Term: r.Term, Index: meta.Index + Index(c.BumpIndex)}
	}
	_, err := rand.Read(r.Cluster[:])
	return r, err
}

// checkEmpty refuses stores that hold anything.
func (c *RestoreConfig) checkEmpty(ctx context.Context, group GroupID) error {
	header := c.Log.Header()
	if header.StartCounter != 1 {
		return &NotEmptyError{fmt.Sprintf("the log store of node %d was opened %d times", header.Node, header.StartCounter)}
	}
	state, err := c.Log.Load(ctx, group)
	if err != nil {
		return fmt.Errorf("troupe: restore: %w", err)
	}
	if state.HardState != (core.HardState{}) || state.Last.Index != 0 {
		return &NotEmptyError{fmt.Sprintf("the log of group %d ends at %v", group, state.Last)}
	}
	newest, err := c.Snapshots.Newest(ctx, group)
	if err != nil {
		return fmt.Errorf("troupe: restore: %w", err)
	}
	if newest.Index != 0 {
		return &NotEmptyError{fmt.Sprintf("there is a snapshot %v of group %d", newest.LogID, group)}
	}
	if store, records := c.Snapshots.(storage.Recorder); records {
		record, err := store.Recorded(ctx, group)
		if err != nil {
			return fmt.Errorf("troupe: restore: %w", err)
		}
		if record.Index != 0 {
			return &NotEmptyError{fmt.Sprintf("there is a record of group %d, whose state machine holds %v", group, record.LogID)}
		}
	}
	return nil
}

// snapshot is what the new cluster begins with. Its configuration is that of the old one's
// entry, with another content: no member of the old cluster ever compares the two.
func (c *RestoreConfig) snapshot(r *Restored) core.SnapshotMeta {
	self := Member{Identity: r.Node, Address: c.Address}
	at := r.Backup.Configuration.LogID
	if at.Index == 0 {
		at = r.Backup.LogID
	}
	return core.SnapshotMeta{
		LogID: r.Backup.LogID, Time: r.Backup.Time, Cluster: r.Cluster, Version: r.Backup.Version,
		Configuration: core.ConfigurationAt{LogID: at, Configuration: Configuration{
			Members: []Member{self}, Voters: []Identity{r.Node}, Founding: membership.FoundingOf([]Member{self}),
		}},
	}
}

// writeLog makes the log that begins behind the snapshot.
func (c *RestoreConfig) writeLog(ctx context.Context, r *Restored, time int64) error {
	hard := core.HardState{Term: r.Term, Cluster: r.Cluster}
	op := storage.Operation{Group: r.Group, HardState: &hard, Reset: r.Backup.LogID, Commit: r.Backup.Index}
	first, last := r.Backup.Index+1, r.Backup.Index+Index(c.BumpIndex)
	page := min(c.Log.Limits().BatchEntriesMax, c.Log.Limits().BatchBytesMax/core.EntryOverheadBytes/2)
	for {
		for first <= last && len(op.Append) < page {
			op.Append = append(op.Append, core.Entry{LogID: LogID{Term: r.Term, Index: first}, Kind: core.EntryBlank, Time: time})
			first++
		}
		if err := c.Log.Write(ctx, &storage.Batch{Operations: []storage.Operation{op}}); err != nil {
			return err
		}
		if first > last {
			return nil
		}
		op = storage.Operation{Group: r.Group}
	}
}
