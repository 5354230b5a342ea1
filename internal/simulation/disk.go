package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// errDiskFailed is what a failing disk answers, and errCrashed what nobody
// should see: the process ended in the middle of the call.
var (
	errDiskFailed = errors.New("simulation: the disk fails")
	errCrashed    = errors.New("simulation: the process has crashed")
)

// disk is what one data directory holds: log, hard state, snapshots and the
// durable state machine. Everything in it is durable: a write that was not
// carried out is not in it at all. It outlives the lives of its node.
type disk struct {
	identity     membership.Identity
	limits       storage.Limits
	startCounter uint64
	promise      time.Duration
	refused      string
	peers        []storage.Peer // in the order of their identities
	check        *checker

	hard    core.HardState
	commit  core.Index
	purged  core.LogID
	entries []core.Entry // from purged.Index+1 on
	// floor is the lowest index that entries ever reached back to: a copy of it
	// is needed to know what a purged log held.
	snapshots []*snapshot
	machine   machineState

	// budget, if tearing, is how many more operations reach the disk before the
	// process ends.
	tearing bool
	budget  int
	failing bool
}

var _ storage.LogStore = (*disk)(nil)

// open begins another life on the disk.
func (d *disk) open() {
	d.startCounter++
	d.tearing, d.failing = false, false
	d.check.opened(d)
}

// spend takes one operation of the budget, if the process is crashing.
func (d *disk) spend() error {
	if d.failing {
		return errDiskFailed
	}
	if d.tearing {
		if d.budget == 0 {
			return errCrashed
		}
		d.budget--
	}
	return nil
}

// Header returns what the opening found. The promise and the refusal are those
// of this time.
func (d *disk) Header() storage.Header {
	return storage.Header{
		Node: d.identity.ID, Incarnation: d.identity.Incarnation, StartCounter: d.startCounter, Promise: d.promise, Refused: d.refused,
	}
}

// RecordPromise makes a promise durable, longer or shorter than the last.
func (d *disk) RecordPromise(_ context.Context, promise time.Duration) error {
	if err := d.writable(); err != nil {
		return err
	}
	d.promise = promise
	return nil
}

// Refuse makes durable that nobody may live on the disk any more.
func (d *disk) Refuse(_ context.Context, reason string) error {
	if d.refused != "" {
		return nil // the first reason stays
	}
	if err := d.spend(); err != nil {
		return err
	}
	d.refused = reason
	return nil
}

// writable takes one operation of the budget, unless the disk was refused.
func (d *disk) writable() error {
	if d.refused != "" {
		return &storage.RefusedError{Store: fmt.Sprintf("the disk of node %v", d.identity), Reason: d.refused}
	}
	return d.spend()
}

// Peers returns a copy of what is kept.
func (d *disk) Peers() []storage.Peer { return slices.Clone(d.peers) }

// KeepPeer keeps a peer. The cluster has fewer than a store would forget.
func (d *disk) KeepPeer(_ context.Context, p storage.Peer) error {
	i, found := slices.BinarySearchFunc(d.peers, p, func(a, b storage.Peer) int { return a.Compare(b.Identity) })
	if found {
		if k := d.peers[i]; p.StartCounter < k.StartCounter || p.StartCounter == k.StartCounter && p.Nonce != k.Nonce {
			return fmt.Errorf("simulation: node %v has kept start %d of %v, and was told %d", d.identity, k.StartCounter, p.Identity, p.StartCounter)
		}
	}
	if err := d.spend(); err != nil {
		return err
	}
	if found {
		d.peers[i] = p
	} else {
		d.peers = slices.Insert(d.peers, i, p)
	}
	return nil
}

// Limits returns the plan's.
func (d *disk) Limits() storage.Limits { return d.limits }

// Close does nothing: the disk stays.
func (d *disk) Close() error { return nil }

func (d *disk) last() core.LogID {
	if n := len(d.entries); n > 0 {
		return d.entries[n-1].LogID
	}
	return d.purged
}

// at returns the LogID at an index, false if the log does not hold it.
func (d *disk) at(i core.Index) (core.LogID, bool) {
	if i <= d.purged.Index || i > d.last().Index {
		return core.LogID{}, false
	}
	return d.entries[i-d.purged.Index-1].LogID, true
}

// Load returns the state of the one group that the simulator knows.
func (d *disk) Load(_ context.Context, group membership.GroupID) (storage.State, error) {
	if group != 1 {
		return storage.State{}, nil
	}
	s := storage.State{HardState: d.hard, Commit: d.commit, Purged: d.purged, Last: d.last()}
	for i := range d.entries {
		e := &d.entries[i]
		if i == 0 || e.Term != d.entries[i-1].Term {
			s.Terms = append(s.Terms, e.LogID)
		}
		if e.Kind == core.EntryConfiguration {
			c, err := membership.Decode(e.Data)
			if err != nil {
				return storage.State{}, fmt.Errorf("%w: %w", core.ErrCorrupt, err)
			}
			s.Configurations = append(s.Configurations, core.ConfigurationAt{LogID: e.LogID, Configuration: c})
		}
		s.LastTime = e.Time
	}
	return s, nil
}

// Write carries out the operations, as many as still reach the disk.
func (d *disk) Write(_ context.Context, batch *storage.Batch) error {
	if d.refused != "" {
		return d.writable()
	}
	if err := d.fits(batch); err != nil {
		d.check.fail("disk: a batch over the limits", "%v", err)
		return err
	}
	for i := range batch.Operations {
		if err := d.spend(); err != nil {
			return err
		}
		if err := d.carryOut(&batch.Operations[i]); err != nil {
			d.check.fail("disk: an operation that contradicts the log", "node %v: %v", d.identity, err)
			return err
		}
	}
	return nil
}

func (d *disk) fits(batch *storage.Batch) error {
	entries, size := 0, 0
	for _, o := range batch.Operations {
		entries += len(o.Append)
		for j := range o.Append {
			size += o.Append[j].Size()
			if len(o.Append[j].Data) > d.limits.EntryBytesMax {
				return fmt.Errorf("an entry of %d bytes, at most %d", len(o.Append[j].Data), d.limits.EntryBytesMax)
			}
		}
	}
	if entries > d.limits.BatchEntriesMax || size > d.limits.BatchBytesMax {
		return fmt.Errorf("%d entries with %d bytes, at most %d and %d", entries, size, d.limits.BatchEntriesMax, d.limits.BatchBytesMax)
	}
	return nil
}

// carryOut does one operation, whole.
func (d *disk) carryOut(o *storage.Operation) error {
	if o.Group != 1 {
		return fmt.Errorf("an operation for group %d", o.Group)
	}
	d.check.writing(d, o)
	if o.HardState != nil {
		d.hard = *o.HardState
	}
	if o.Reset.Index != 0 {
		d.purged, d.entries = o.Reset, nil
	}
	if from := o.TruncateFrom; from != 0 {
		if from <= d.purged.Index {
			return fmt.Errorf("truncated from %d, purged up to %v", from, d.purged)
		}
		if from <= d.last().Index {
			d.entries = d.entries[:from-d.purged.Index-1]
		}
	}
	for i := range o.Append {
		if want := d.last().Index + 1; o.Append[i].Index != want {
			return fmt.Errorf("appended %v, where %d follows", o.Append[i].LogID, want)
		}
		d.check.stored(d, &o.Append[i])
		d.entries = append(d.entries, o.Append[i])
	}
	if o.Purge.Index > d.purged.Index {
		at, ok := d.at(o.Purge.Index)
		if !ok || at != o.Purge {
			return fmt.Errorf("purged up to %v, where the log has %v up to %v", o.Purge, at, d.last())
		}
		d.entries = append([]core.Entry(nil), d.entries[o.Purge.Index-d.purged.Index:]...)
		d.purged = o.Purge
	}
	d.commit = max(d.commit, o.Commit)
	d.check.wrote(d, o)
	return nil
}

// Read returns copies of the entries' headers; their data is shared.
func (d *disk) Read(_ context.Context, group membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error) {
	if d.failing {
		return nil, errDiskFailed
	}
	if group != 1 || first <= d.purged.Index || last > d.last().Index || last < first {
		return nil, fmt.Errorf("%w: entries %d to %d, of %d to %d", storage.ErrNotFound, first, last, d.purged.Index+1, d.last().Index)
	}
	var read []core.Entry
	size := 0
	for i := first; i <= last; i++ {
		e := d.entries[i-d.purged.Index-1]
		if size += e.Size(); size > bytesMax && len(read) > 0 {
			break
		}
		read = append(read, e)
	}
	return read, nil
}
