package troupe

import (
	"context"

	"github.com/trouperaft/troupe/internal/foreign"
)

// LeadingFunc is what an application runs while its node leads a group: see
// [Config.OnLeading]. raft is the group's handle. The function may be called before
// Start has returned it.
//
// The function is called when this node leads term, the lease of that term holds, and
// the state machine of this node has applied everything that was committed before: so
// not before the cluster is complete, either. It is called once in a term, on a
// goroutine of its own, and not again before it has returned. So on one node starts and
// ends alternate, and terms rise. It may return whenever it likes. Then nothing runs in
// the rest of the term.
//
// ctx ends when the node may no longer act as the leader: it steps down, it tells
// another node to campaign ([Raft.TransferLeadership], [Node.Drain], a shutdown, a
// member of a higher priority), its lease runs out, it hears a contradiction
// ([Status.Contradiction]), or the group stops or fails here. context.Cause says more.
// When the node steps down or hands over, ctx ends before any message leaves by which
// another node may be elected. If the lease has run out and comes back, because nobody
// else was elected, or if a hand-over has failed, the leader wins a new term, and calls
// the function for that ([Status.NeedsNewTerm]). It does not while its elections are
// paused.
//
// What is promised: at a moment at which ctx.Err() returns nil here, it returns nil for
// no other node of the group. That holds as long as the rates of any two members'
// clocks differ by no more than [Config.ClockDriftMax], and each clock counts all the
// time that passes:
//
//   - Err reads the clock, and is right also after the process was stopped for a while,
//     or starved. Done is closed by a timer, which may be late then. So ask Err before
//     each step that must not be done twice, and not only contexts derived from ctx.
//   - The clock of Linux counts the time for which the machine was suspended. Other
//     systems do not tell whether theirs does ([Status.NoLease] says so). There Err may
//     return nil for as long as the lease had still lasted when the machine fell
//     asleep, although another node leads by now.
//   - No clock counts a pause of the whole virtual machine: one that is paused from
//     outside, moved to another host, or continued from a snapshot. The same holds then.
//
// Nothing that is asked before a step can promise that the step is not late: between
// Err and what it allows the process may be held up, and a request may be on its way
// for long after ctx has ended. Only the term is safe in every case. It is a fencing
// token: a later run has a higher one, on whatever node. Give it to [ExpectedTerm] in
// proposals to the group, and let others refuse requests of a term below the highest
// that they have seen.
//
// A function that does not return when ctx has ended keeps only itself from being called
// again. The group goes on, also with an election or a hand-over. [Status.LeadingOverdue]
// says for how long it has not returned, and after an election time-out so do
// [EventLeadingOverdue] and the log. But a group has not stopped while it runs: so
// Shutdown waits for it until its own context ends, and Kill without a limit. The
// function itself must wait for neither.
//
// If the function panics or ends its goroutine, that ends the run and nothing else:
// neither the process nor the group, whose data is no part of it. It is an
// [EventLeadingEnded], and a line of the log with the stack. The function is not called
// again in the same term. Where that is not enough, recover in the function and call
// TransferLeadership or end the process.
type LeadingFunc func(ctx context.Context, raft *Raft, term Term)

// onLeading is the group's function as the actors want it, nil if there is none.
func (r *Raft) onLeading() func(ctx context.Context, term Term, ended func(error)) {
	f := r.config.OnLeading
	if f == nil {
		return nil
	}
	return func(ctx context.Context, term Term, ended func(error)) {
		foreign.Go(func() {
			<-r.started
			f(ctx, r, term)
		}, ended)
	}
}

// Leader returns who leads the group, as far as this node knows: the node, the address
// that the configuration in force here has for it, and the term that it leads. While
// no leader is known id is 0, address is empty, and term is the newest that this node
// knows of. It is a look at a moment ago, which may be over: a leader that was deposed
// returns itself until it hears of it.
func (r *Raft) Leader() (id NodeID, address string, term Term) {
	s := r.group.StatusToRead()
	if s.Leader == 0 {
		return 0, "", s.Term
	}
	for i := range s.Configuration.Configuration.Members {
		if m := &s.Configuration.Configuration.Members[i]; m.ID == s.Leader && m.Address != "" {
			address = m.Address
		}
	}
	return s.Leader, address, s.Term
}
