package troupe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"
)

// bootstrapAskLimit is for how long a bootstrap waits for the members to say
// who they are. A context with a deadline shortens it to three quarters of what
// is left, so that the answer, which names who is missing, comes before the end.
const bootstrapAskLimit = 10 * time.Second

// Bootstrap forms a new cluster out of members, each given by [At]. It is
// called on one node, which is one of them; the others only run. An empty
// address stands for this node's own.
//
// It may also be called with the same list on several or all of them, at the
// same time and again. That makes one cluster, and each call returns nil when
// the cluster is complete, and that is committed. The same list means the same ids, addresses,
// priorities and tags.
//
// First the node asks every member who it is, and for its grant to begin. If a
// member cannot be reached, or belongs to a cluster of another list, the error
// is a *BootstrapError that names the member. Then the cluster begins with one
// node alone, and the others are brought in. While the call waits, [Status]
// says for which members, and why. If ctx ends before all have joined, the
// error is a *FormingError.
//
// If this node belongs to a cluster that was founded with the same list,
// nothing is done, even if the members have changed since. Another list is
// refused. A node that lost its data is refused too, and the error names the
// member that it was.
func (r *Raft) Bootstrap(ctx context.Context, members ...Member) (err error) {
	if err := ctx.Err(); err != nil {
		return nothingDone(err)
	}
	wanted, err := r.wanted(members)
	if err != nil {
		return err
	}
	limit := bootstrapAskLimit
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)*3/4)
	}
	trace := r.group.TraceBootstrap(ctx, len(wanted))
	defer func() { trace.End(err) }()
	complete := formedAndCommitted
	if formed(r.Status()) {
		complete = formed // nothing is to be done
	}
	begun := make(chan error, 1)
	cancel := r.group.Bootstrap(wanted, limit, func(err error) { begun <- err })
	select {
	case err = <-begun:
	case <-ctx.Done():
		waits := r.Status().WaitsFor
		cancel()
		if err = <-begun; errors.Is(err, ErrStopped) {
			err = &FormingError{WaitsFor: waits, Cause: ctx.Err()}
		}
	}
	if err != nil {
		return err
	}
	trace.Begun()
	if err := r.Wait(ctx, complete); err != nil {
		return &FormingError{Begun: true, WaitsFor: r.Status().WaitsFor, Cause: err}
	}
	return nil
}

// wanted checks what can be told without asking anybody.
func (r *Raft) wanted(members []Member) ([]Member, error) {
	self := r.node.Identity().ID
	wanted := make([]Member, 0, len(members))
	seen := make(map[NodeID]bool, len(members))
	for _, m := range members {
		if m.ID == self && m.Address == "" {
			m.Address = r.node.Address()
		}
		switch {
		case m.ID == 0:
			return nil, &BootstrapError{Reason: "a member has no id: ids begin at 1"}
		case seen[m.ID]:
			return nil, &BootstrapError{Node: m.ID, Reason: "stands twice in the list"}
		case m.Address == "":
			return nil, &BootstrapError{Node: m.ID, Reason: "has no address"}
		case undialable(m.Address):
			return nil, &BootstrapError{Node: m.ID, Reason: "has the address " + m.Address + ", at which nobody can be reached"}
		}
		if i := slices.IndexFunc(wanted, func(o Member) bool { return o.Address == m.Address }); i >= 0 {
			return nil, &BootstrapError{Node: m.ID, Reason: fmt.Sprintf("has the address of node %d, %s", wanted[i].ID, m.Address)}
		}
		seen[m.ID] = true
		m.Tags = maps.Clone(m.Tags) // the caller's map stays his own
		wanted = append(wanted, m)
	}
	if !seen[self] {
		return nil, &BootstrapError{Node: self, Reason: "is the one that was asked, and is not in the list"}
	}
	return wanted, nil
}

// undialable reports whether an address means "any of this machine", or any
// port: one may listen there, and nobody can dial it.
func undialable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return false // not an address of that kind
	}
	ip, err := netip.ParseAddr(host)
	return host == "" || port == "" || port == "0" || err == nil && ip.Unmap().WithZone("").IsUnspecified()
}

func formed(s Status) bool {
	return !s.Bootstrapping && !s.Configuration.IsZero()
}

// formedAndCommitted: no crash undoes it.
func formedAndCommitted(s Status) bool {
	return formed(s) && s.ConfigurationAt.Index <= s.Committed
}
