package troupe

import (
	"context"
	"iter"
)

// EntriesOption changes what [Raft.Entries] does. The zero value changes nothing.
type EntriesOption struct{ cluster ClusterID }

// OfCluster yields an *OtherClusterError, and nothing else, where the group belongs to
// another cluster: an index means nothing in a cluster that was restored from a backup,
// or begun anew. Status.Cluster is what to remember beside the index.
func OfCluster(id ClusterID) EntriesOption { return EntriesOption{cluster: id} }

// Entries yields what this node has applied, in the order of the log, from an index on
// (0 counts as 1), and then goes on with each entry as it is applied. Every member can be
// asked. Kind tells commands from the blank entry of each leader and from configurations:
// no index is left out. Data belongs to the log, and must not be changed.
//
// It ends with the first error that it yields:
//   - *CompactedError: the log does not hold the next entry any more, from the beginning or
//     because it was purged meanwhile, or a snapshot took its place. Whoever follows takes
//     the state from elsewhere, and goes on from there;
//   - *OtherClusterError, see [OfCluster];
//   - [ErrStopped], a *FatalError or [ErrRemoved]: this node goes on no more;
//   - the error of ctx, when that ends; or of the log store.
//
// The log is kept for a loop that is under way, within [Config.HoldBytesMax] and
// HoldTimeMax. A slow loop holds up nobody: it has one batch of at most
// Config.MessageBytesMax, or one entry, in memory, and no transaction of the store is open
// while it works.
func (r *Raft) Entries(ctx context.Context, from Index, options ...EntriesOption) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		f := r.group.Follow(max(from, 1))
		defer f.Leave()
		for {
			if err := r.mayFollow(ctx, options); err != nil {
				yield(Entry{}, err)
				return
			}
			entries, err := f.Read(ctx)
			if err == nil && len(entries) == 0 {
				_, err = r.ReadIndex(ctx, AtLeast(f.Next()))
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for i := range entries {
				if !yield(entries[i], nil) {
					return
				}
			}
		}
	}
}

// mayFollow is why nothing more is yielded.
func (r *Raft) mayFollow(ctx context.Context, options []EntriesOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, o := range options {
		if have := r.Status().Cluster; !o.cluster.IsZero() && !have.IsZero() && have != o.cluster {
			return &OtherClusterError{Want: o.cluster, Have: have}
		}
	}
	if r.group.Ending() {
		if err := r.Err(); err != nil {
			return err
		}
		return ErrStopped
	}
	return nil
}
