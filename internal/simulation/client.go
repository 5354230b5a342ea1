package simulation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
)

// client does one thing after the other, or a burst of them, at whatever node
// it likes.
type client struct {
	group   *group
	number  int
	open    int  // works that are not over
	pending bool // the next burst is on its way
	stopped bool
	// seen is what it last knew to be in each register.
	seen [keys]uint64

	writesDone, readsDone int
	// readsOf are the reads that were served, by their mode, and local those of them
	// that waited for nobody.
	readsOf [4]int
	local   int
}

// work is one operation of a client at one replica.
type work struct {
	client  *client
	replica *replica
	command command // of a write
	key     uint8   // of a read
	isRead  bool
	// floor is what was known to be committed when it began; of a stale read, so long
	// before that as it may be behind.
	floor    core.Index
	tooLarge bool

	proposal  *actors.Proposal
	read      *actors.Read
	patience  *event
	cancelled bool
	completed bool
	lost      bool // its node crashed
	refused   error
	index     core.Index // in the history, 0: not there
	err       error
	// finished is called at the end, however it ended.
	finished func(*work)
}

func (w *work) String() string {
	if w.isRead {
		return fmt.Sprintf("a %v read of client %d", w.read.Mode, w.client.number)
	}
	return fmt.Sprintf("command %d of client %d", w.command.id, w.client.number)
}

// next begins the client's next burst after a while.
func (c *client) next() {
	if c.pending {
		return
	}
	c.pending = true
	s := c.group.sim
	s.clock.after(s.plan.think.draw(s.clientRand), nil, c.begin)
}

func (c *client) begin() {
	c.pending = false
	if c.stopped {
		return
	}
	s, r := c.group.sim, c.group.sim.clientRand
	at := c.group.on(s.nodes[r.IntN(len(s.nodes))])
	if at == nil || at.stopping {
		c.next()
		return
	}
	n := 1
	if s.plan.burst > 1 {
		n += r.IntN(s.plan.burst)
	}
	c.open += n
	finished := func(*work) { c.over() }
	for range n {
		if at.dead {
			finished(nil)
			continue
		}
		if chance(r, 30) {
			c.reads(at, c.drawRead(at), uint8(r.IntN(keys)), true, finished)
		} else {
			c.writes(at, true, finished)
		}
	}
}

// over ends one operation; behind the last of a burst comes the next burst.
func (c *client) over() {
	if c.open--; c.open == 0 && !c.stopped {
		c.next()
	}
}

// asksNow begins a read besides what the client does otherwise.
func (c *client) asksNow(at *replica) {
	if !c.stopped && !at.stopping && !at.leaving {
		if at.status.Role == core.RoleLeader && at.status.Term < c.group.check.committedIn {
			c.group.sim.saw(deposedAsked)
		}
		c.open++
		c.reads(at, c.drawRead(at), 0, true, func(*work) { c.over() })
	}
}

// writes proposes a command.
func (c *client) writes(at *replica, impatient bool, finished func(*work)) *work {
	s, r, check := c.group.sim, c.group.sim.clientRand, c.group.check
	w := &work{client: c, replica: at, floor: check.committed, finished: finished}
	w.command = command{operation: operation(1 + r.IntN(3)), key: uint8(r.IntN(keys)), id: uint64(len(check.works) + 1)}
	if w.command.operation == operationCAS {
		w.command.old = c.seen[w.command.key]
	}
	check.works[w.command.id] = w
	padding := 0
	if s.plan.payload > 0 {
		padding = r.IntN(s.plan.payload)
	}
	if impatient && chance(r, 1) {
		w.tooLarge, padding = true, s.plan.group.CommandBytesMax
	}
	p := &actors.Proposal{Data: w.command.encode(padding), Completed: w.wrote}
	p.WaitForRoom = !impatient || chance(r, 50)
	if impatient {
		p.NoForward, p.FailWithoutLeader = chance(r, 10), chance(r, 10)
		if chance(r, 10) {
			p.ExpectedTerm = at.status.Term + core.Term(r.IntN(2))
		}
	}
	w.proposal = p
	c.started(w, impatient)
	at.raft.Propose(p)
	return w
}

// drawRead draws how current a read has to be.
func (c *client) drawRead(at *replica) *actors.Read {
	s, r := c.group.sim, c.group.sim.clientRand
	read := &actors.Read{}
	switch n := r.IntN(100); {
	case n < s.plan.leaseReads:
		read.Mode = actors.ReadLease
	case n < s.plan.leaseReads+s.plan.staleReads:
		read.Mode = actors.ReadStale
		read.StaleMax = pick(r, 1, 200*microsecond, 2*millisecond, s.plan.election/4, 2*s.plan.election)
	case n < s.plan.leaseReads+s.plan.staleReads+5:
		read.Mode = actors.ReadAtLeast
		read.AtLeast = at.status.Committed + core.Index(r.IntN(3))
	}
	if chance(r, 5) {
		read.LimitLag, read.LagMax = true, uint64(r.IntN(5))
	}
	return read
}

// reads asks for a read.
func (c *client) reads(at *replica, read *actors.Read, key uint8, impatient bool, finished func(*work)) *work {
	check := c.group.check
	w := &work{client: c, replica: at, isRead: true, key: key, read: read, floor: check.committed, finished: finished}
	if read.Mode == actors.ReadStale {
		w.floor = check.committedAt(check.sim.clock.now.Add(-at.environment.realMost(read.StaleMax)))
	}
	read.Completed = w.mayRead
	c.started(w, impatient)
	at.raft.ReadIndex(w.read)
	if w.completed && w.err == nil {
		c.local++
	}
	w.sawRead()
	return w
}

func (c *client) started(w *work, impatient bool) {
	s := c.group.sim
	w.replica.work = append(w.replica.work, w)
	s.trace.add(traceClient, uint64(w.replica.node.id), uint64(c.group.id), uint64(c.number), w.command.id, uint64(w.floor), 0)
	s.trace.say("%v begins at %v, committed is %d", w, w.replica, w.floor)
	if impatient {
		w.patience = s.clock.after(s.plan.clientPatience.draw(s.clientRand), nil, w.cancel)
	}
}

// cancel ends the client's patience.
func (w *work) cancel() {
	if w.completed || w.lost || w.cancelled {
		return
	}
	w.cancelled = true
	w.replica.sim.trace.add(traceClient, uint64(w.replica.node.id), uint64(w.replica.group.id), uint64(w.client.number), w.command.id, 1)
	w.replica.sim.trace.say("%v is cancelled", w)
	if w.isRead {
		w.replica.raft.CancelRead(w.read)
	} else {
		w.replica.raft.Cancel(w.proposal)
	}
}

// wrote takes the result of a proposal.
func (w *work) wrote(p *actors.Proposal) {
	s, check := w.replica.sim, w.replica.group.check
	if !w.ends(p.Err) {
		return
	}
	if p.Err != nil {
		check.failedWrite(w, p.Err)
		s.sawFailedWrite(p.Err)
	} else {
		check.acknowledgedWrite(w, p.LogID, p.Value)
		w.client.writesDone++
		if len(p.Value) >= 16 {
			w.client.seen[w.command.key] = binary.LittleEndian.Uint64(p.Value[8:])
		}
	}
	s.trace.add(traceClient, uint64(w.replica.node.id), uint64(w.replica.group.id), uint64(w.client.number), w.command.id, uint64(p.LogID.Index), 2)
	s.trace.say("%v: %v, %v", w, p.LogID, p.Err)
	w.proposal = nil
	w.finished(w)
}

// mayRead takes the answer of ReadIndex and reads.
func (w *work) mayRead(r *actors.Read) {
	s, check := w.replica.sim, w.replica.group.check
	if !w.ends(r.Err) {
		return
	}
	if r.Err != nil {
		check.expected(w, r.Err)
	} else {
		check.served(w, r.Index)
		w.client.readsDone++
		w.client.readsOf[w.read.Mode]++
		w.client.seen[w.key] = w.replica.machine.state.registers[w.key]
	}
	s.trace.add(traceClient, uint64(w.replica.node.id), uint64(w.replica.group.id), uint64(w.client.number), uint64(r.Index), 3)
	s.trace.say("%v: at %d, %v", w, r.Index, r.Err)
	w.sawReadEnd()
	w.finished(w)
}

// ends takes note that the work is over; false if it was before.
func (w *work) ends(err error) bool {
	check := w.replica.group.check
	if w.lost {
		check.fail(ruleDeadAnswers, "%v answers %v", w.replica, w)
		return false
	}
	if w.completed {
		check.fail(ruleOnce, "%v: %v", w.replica, w)
		return false
	}
	w.completed, w.err = true, err
	if w.patience != nil {
		w.replica.sim.clock.cancel(w.patience)
	}
	if i := slices.Index(w.replica.work, w); i >= 0 {
		w.replica.work = slices.Delete(w.replica.work, i, i+1)
	}
	return true
}

// abandoned ends the work because its node has crashed.
func (w *work) abandoned() {
	if w.completed || w.lost {
		return
	}
	w.lost = true
	if w.patience != nil {
		w.replica.sim.clock.cancel(w.patience)
	}
	w.finished(w)
}

// sawFailedWrite counts what clients are told of writes that were appended.
func (s *sim) sawFailedWrite(err error) {
	var (
		unknown *core.UnknownOutcomeError
		lost    *core.LostError
	)
	switch {
	case errors.As(err, &lost):
		s.saw(proposalLost)
	case errors.As(err, &unknown) && strings.Contains(err.Error(), "a snapshot took the place"):
		s.saw(proposalOvertaken)
	case errors.As(err, &unknown):
		s.saw(outcomeUnknown)
	}
}
