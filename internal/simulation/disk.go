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

// disk is what one data directory holds: the stores of all groups, and what is
// kept beside them. Everything in it is durable: a write that was not carried out
// is not in it at all. It outlives the lives of its node.
type disk struct {
	identity     membership.Identity
	limits       storage.Limits
	startCounter uint64
	promise      time.Duration
	refused      string
	peers        []storage.Peer // in the order of their identities
	sim          *sim
	stores       []*store // of the groups, in their order

	// budget, if tearing, is how many more operations reach the disk before the
	// process ends.
	tearing bool
	budget  int
	failing bool
}

var _ storage.LogStore = (*disk)(nil)

// newDisk makes an empty directory.
func (s *sim) newDisk(id core.NodeID) *disk {
	incarnation := membership.Incarnation(s.lives.Uint64() | 1)
	d := &disk{identity: membership.Identity{ID: id, Incarnation: incarnation}, limits: s.plan.limits, sim: s}
	for _, g := range s.groups {
		d.stores = append(d.stores, &store{disk: d, group: g})
	}
	return d
}

// of returns the store of a group.
func (d *disk) of(group membership.GroupID) *store { return d.stores[group-1] }

// open begins another life on the disk.
func (d *disk) open() {
	d.startCounter++
	d.tearing, d.failing = false, false
	for _, held := range d.stores {
		held.group.check.opened(held)
	}
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

// Load returns the state of a group.
func (d *disk) Load(_ context.Context, group membership.GroupID) (storage.State, error) {
	held := d.of(group)
	s := storage.State{HardState: held.hard, Commit: held.commit, Purged: held.purged, Last: held.last()}
	s.Sizes.Reset(held.purged.Index)
	s.Sizes.Append(held.entries)
	for i := range held.entries {
		e := &held.entries[i]
		if i == 0 || e.Term != held.entries[i-1].Term {
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
		d.sim.fail("disk: a batch over the limits", "%v", err)
		return err
	}
	several := slices.ContainsFunc(batch.Operations, func(o storage.Operation) bool { return o.Group != batch.Operations[0].Group })
	if several {
		d.sim.saw(groupsInABatch)
	}
	for i := range batch.Operations {
		if err := d.spend(); err != nil {
			d.sawFailure(err, i > 0, several)
			return err
		}
		o := &batch.Operations[i]
		if err := d.of(o.Group).carryOut(o); err != nil {
			d.sim.fail("disk: an operation that contradicts the log", "node %v: %v", d.identity, err)
			return err
		}
	}
	return nil
}

// sawFailure counts what became of a batch: nothing of it is there, or the first
// part.
func (d *disk) sawFailure(err error, part, several bool) {
	switch {
	case errors.Is(err, errDiskFailed):
		d.sim.saw(failedWrite)
	case part:
		d.sim.saw(tornBatch)
		if several {
			d.sim.saw(groupsInATornBatch)
		}
	}
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

// Read returns copies of the entries' headers; their data is shared.
func (d *disk) Read(_ context.Context, group membership.GroupID, first, last core.Index, bytesMax int) ([]core.Entry, error) {
	if d.failing {
		return nil, errDiskFailed
	}
	held := d.of(group)
	if first <= held.purged.Index || last > held.last().Index || last < first {
		return nil, fmt.Errorf("%w: entries %d to %d, of %d to %d", storage.ErrNotFound, first, last, held.purged.Index+1, held.last().Index)
	}
	var read []core.Entry
	size := 0
	for i := first; i <= last; i++ {
		e := held.entries[i-held.purged.Index-1]
		if size += e.Size(); size > bytesMax && len(read) > 0 {
			break
		}
		read = append(read, e)
	}
	return read, nil
}
