package storage

import (
	"context"
	"io"

	"github.com/trouperaft/troupe/core"
)

// StateMachine is what the application replicates. The apply actor of the
// group calls it, one method at a time; SnapshotView.WriteTo alone runs beside
// the others. An error or a panic of any method stops the group on this node.
//
// Reading beside Apply is the machine's own business: it needs a lock, or a
// view, of its own. The handle's ReadIndex says when a read is linearizable.
type StateMachine interface {
	// Apply applies committed entries, in the order of the log, each index
	// exactly once and without a hole. It must be deterministic: what it does
	// may depend on the entries only. Blank and configuration entries are
	// included, so that a durable machine can record each LogID; their results
	// are ignored. It returns one result for each entry, nil where there is
	// none, or nil for all; the caller owns them. Entry.Data may be kept only
	// as a copy.
	//
	// Apply must not wait for its own group: a proposal, a linearizable read
	// and the end of the group all wait for Apply to return. ctx ends when the
	// group has failed, is killed, or is not shut down in time. An Apply that returns
	// an error then has not failed; what it returns is thrown away, and after the next
	// start the entries that are not durable are applied again.
	Apply(ctx context.Context, entries []core.Entry) ([][]byte, error)

	// Applied returns the last entry whose effects are durable here: the
	// runtime applies what follows again after a restart. It is called at the
	// start, and between two applies when the log is to be purged: what Applied
	// has returned is never applied again, and the log may lose it. So it is what
	// is durable now, though Apply may have returned for later entries; it may make
	// these durable first. While it stays where it was, snapshots are built in its
	// place. A machine that embeds Volatile returns zero.
	Applied() (core.LogID, error)

	// View returns the present state, for a snapshot. It is called between two
	// applies and should be quick; the view is written out while applies go on. An
	// error that wraps core.ErrNotNow is not fatal: there is no view at the moment,
	// and it is asked for again later.
	//
	// A machine whose state is in files returns a FileView: package storage/fileset makes
	// it, and is for its Restore, too.
	View() (SnapshotView, error)

	// Restore replaces everything by what a view wrote, perhaps on another
	// node. It leaves the old state if it fails. What r gives was read to its end
	// before, and its checksum was right; r fails all the same if it is another by now.
	// A durable machine's Applied is then the one of the view. ctx ends, and r fails, as soon as the group begins to
	// end.
	Restore(ctx context.Context, r io.Reader) error
}

// Versioned is a StateMachine that has changed, or will: it tells the version of its
// commands and of its snapshots. A machine reads what any earlier version has written.
// Every member tells the others its own; a command may be proposed with the version that
// it needs, and one whose machine is older applies nothing from there on.
type Versioned interface {
	// Version returns the highest version of commands that the machine applies, and of
	// snapshots that it restores; its own are of that version. It never changes in the
	// life of a process, and may be called from any goroutine.
	Version() uint64
}

// VersionOf returns the version of a machine, 0 if it tells none.
func VersionOf(m StateMachine) uint64 {
	if v, ok := m.(Versioned); ok {
		return v.Version()
	}
	return 0
}

// SnapshotView is an unchanging view of a state machine.
type SnapshotView interface {
	// WriteTo writes the view out. It is called at most once, from another
	// goroutine than the machine's. w fails as soon as the group begins to end.
	WriteTo(w io.Writer) (int64, error)
	// Close releases the view. It is called exactly once.
	Close() error
}

// Volatile is embedded by machines that keep nothing over a restart: their log
// is applied again from the newest snapshot on, and they may be applied ahead
// of the local disk.
type Volatile struct{}

// Applied returns zero.
func (Volatile) Applied() (core.LogID, error) { return core.LogID{}, nil }

func (Volatile) volatile() {}

// IsVolatile reports whether m embeds Volatile.
func IsVolatile(m StateMachine) bool {
	_, ok := m.(interface{ volatile() })
	return ok
}
