package troupe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
)

// BackupOption changes how a backup is taken. The zero value changes nothing.
type BackupOption struct {
	local bool
	stall time.Duration
}

// BackupLocal takes what this node has applied, and asks nobody: the backup may lack the
// newest writes that were acknowledged elsewhere, and works without a leader.
func BackupLocal() BackupOption { return BackupOption{local: true} }

// BackupStall is for how long one Write of the reader may last before the backup is cut
// off: a view of the state machine that is held for ever keeps it from forgetting what it
// no longer needs. Without it that is 30 seconds.
func BackupStall(d time.Duration) BackupOption { return BackupOption{stall: d} }

// backupStallDefault is for how long a reader may take no bytes.
const backupStallDefault = 30 * time.Second

// ErrBackupStalled: the reader of a backup took no bytes for too long, and was cut off.
var ErrBackupStalled = errors.New("troupe: the backup's reader took no bytes for too long")

// Backup writes the state of the group to w, as one file that describes itself and that
// [Restore] makes a new cluster of. Any member gives it, followers and learners too. It
// holds at least every write that was acknowledged anywhere before the call, and is
// exactly the log's prefix up to the index that it returns. Writes and reads go on
// meanwhile; the state machine's view is held until the end.
//
// Without a leader Backup waits until ctx ends; see [BackupLocal]. While four of them are
// under way on a group, the error is ErrOverloaded. After an error w has a file that is cut
// off, which Restore refuses.
func (r *Raft) Backup(ctx context.Context, w io.Writer, options ...BackupOption) (BackupMeta, error) {
	local, stall := false, backupStallDefault
	for _, o := range options {
		local = local || o.local
		if o.stall != 0 {
			stall = o.stall
		}
	}
	if stall < 0 {
		return BackupMeta{}, &ConfigError{Field: "BackupStall", Rule: fmt.Sprintf("%v is negative", stall)}
	}
	if !local {
		// What was acknowledged before the call is applied here from now on.
		if _, err := r.ReadIndex(ctx, Linearizable); err != nil {
			return BackupMeta{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return BackupMeta{}, nothingDone(err)
	}
	from, to := io.Pipe()
	b := &backup{from: from, begun: make(chan core.SnapshotMeta, 1), ended: make(chan error, 1)}
	defer from.CloseWithError(errBackupLeft) // whoever still writes ends
	defer context.AfterFunc(ctx, func() { b.cut(ctx.Err()) })()
	r.group.Export(&snapshots.Export{
		Ctx: ctx, To: to,
		Begun: func(meta core.SnapshotMeta) { b.begun <- meta },
		Ended: func(err error) {
			_ = to.CloseWithError(err)
			b.ended <- err
		},
	})
	select {
	case meta := <-b.begun:
		return b.write(w, r.backupMeta(&meta), stall)
	case err := <-b.ended:
		select {
		case meta := <-b.begun: // an empty view was quick
			return b.write(w, r.backupMeta(&meta), stall)
		default:
			return BackupMeta{}, fmt.Errorf("troupe: no backup was begun: %w", err)
		}
	case <-ctx.Done():
		return BackupMeta{}, nothingDone(ctx.Err())
	}
}

var errBackupLeft = errors.New("troupe: nobody reads the backup any more")

// backupMeta is what a backup of this node says of itself.
func (r *Raft) backupMeta(meta *core.SnapshotMeta) BackupMeta {
	return BackupMeta{
		Group: r.config.Group, LogID: meta.LogID, Time: meta.Time, Configuration: meta.Configuration, Version: meta.Version, Cluster: meta.Cluster.String(),
		HardTerm: max(r.Status().Term, meta.Term), Node: r.node.Identity(), Taken: time.Now(),
	}
}

// backup is one that is being written.
type backup struct {
	from  *io.PipeReader
	begun chan core.SnapshotMeta
	ended chan error

	mu    sync.Mutex
	cause error
}

// cut ends the backup early. The first cause counts.
func (b *backup) cut(cause error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause == nil {
		b.cause = cause
		_ = b.from.CloseWithError(cause)
	}
}

// why is the cause of an early end, or err.
func (b *backup) why(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cause != nil && err != nil {
		return b.cause
	}
	return err
}

func (b *backup) write(w io.Writer, meta BackupMeta, stall time.Duration) (BackupMeta, error) {
	out, err := storage.NewBackupWriter(&impatient{to: w, backup: b, stall: stall}, meta)
	if err == nil {
		_, err = io.Copy(out, b.from)
	}
	if err == nil {
		meta, err = out.Finish()
	}
	if err = b.why(err); err != nil {
		return BackupMeta{}, fmt.Errorf("troupe: the backup was cut off: %w", err)
	}
	return meta, nil
}

// impatient cuts a backup off when a write lasts too long.
type impatient struct {
	to     io.Writer
	backup *backup
	stall  time.Duration
}

// Write implements io.Writer.
func (i *impatient) Write(p []byte) (int, error) {
	begun := time.Now()
	timer := time.AfterFunc(i.stall, func() { i.backup.cut(ErrBackupStalled) })
	defer timer.Stop()
	n, err := i.to.Write(p)
	if time.Since(begun) >= i.stall {
		i.backup.cut(ErrBackupStalled) // the timer may be late
	}
	if err == nil {
		err = i.backup.why(io.ErrClosedPipe)
		if err == io.ErrClosedPipe {
			err = nil
		}
	}
	return n, err
}
