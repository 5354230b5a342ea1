package simulation

import (
	"cmp"
	"slices"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Names of what is checked about commits and state machines.
const (
	ruleCommitBack    = "commit: moved back within a life"
	ruleCommitQuorum  = "commit: not durable on a quorum"
	ruleCommitTerm    = "commit: a leader counted an entry of an earlier term (Raft 5.4.2)"
	ruleMatch         = "replication: a leader believes in a match that is none (rule 5)"
	ruleMachineSafety = "state machine safety: two nodes applied different entries at an index"
	ruleMachineHash   = "state machine safety: equal entries, different states"
	ruleDurable       = "state machine: a durable one was applied beyond the local disk (rule 8)"
	ruleUncommitted   = "state machine: applied what is not committed"
	ruleSnapshot      = "snapshots: one that is not what was applied"
	ruleRestoreBack   = "snapshots: a restore went back"
)

// status compares two statuses of a life.
func (c *checker) status(r *replica, before, now *actors.Status) {
	if now.Committed < before.Committed {
		c.fail(ruleCommitBack, "%v: from %d to %d", r, before.Committed, now.Committed)
	}
	if now.Term < before.Term {
		c.fail(ruleTermBack, "%v: from %d to %d", r, before.Term, now.Term)
	}
	if leads(now) && (!leads(before) || before.Term != now.Term) {
		c.elected(r, before, now)
	}
	if now.Committed > c.committed {
		c.commits(r, before, now)
	}
	if leads(now) {
		c.matches(r, now)
	}
	if leads(now) && c.group.isFormed(now) {
		c.group.formed = true
	}
}

// commits checks that what a node believes to be committed is durable on a
// quorum, which is what the word means.
func (c *checker) commits(r *replica, before, now *actors.Status) {
	i, by := now.Committed, &now.Configuration.Configuration
	id, ok := c.onQuorum(by, i)
	if !ok {
		by = &before.Configuration.Configuration
		id, ok = c.onQuorum(by, i)
	}
	// One append may have brought several, and the commit of one in between.
	for f := c.seen[now.Configuration.LogID]; !ok && f != nil && f.Index > before.Configuration.Index; f = f.before {
		by = &f.Configuration
		id, ok = c.onQuorum(by, i)
	}
	if !ok {
		c.fail(ruleCommitQuorum, "%v: index %d in term %d of %v", r, i, now.Term, now.Configuration.Configuration.String())
		return
	}
	if known, ok := c.certainID(i); ok && known != id {
		c.fail(ruleMachineSafety, "%v and %v are both committed", known, id)
	}
	if leads(before) && leads(now) && before.Term == now.Term && id.Term != now.Term {
		c.fail(ruleCommitTerm, "%v commits %v in term %d", r, id, now.Term)
	}
	c.group.askDeposed(now.Term)
	c.committed, c.committedIn, c.committedBy = i, now.Term, *by
	if n := len(c.advances); n > 0 && c.advances[n-1].in == now.Term {
		c.advances[n-1].to = i
	} else {
		c.advances = append(c.advances, advance{i, now.Term})
	}
	c.certain[i] = id
	c.moves = append(c.moves, move{c.sim.clock.now, i})
}

// committedAt returns what was known to be committed at an instant.
func (c *checker) committedAt(at core.Instant) core.Index {
	next, _ := slices.BinarySearchFunc(c.moves, at, func(m move, at core.Instant) int {
		if m.at <= at {
			return -1
		}
		return 1
	})
	if next == 0 {
		return 0
	}
	return c.moves[next-1].index
}

// matches checks what a leader believes of the others: a follower of its term
// holds, on its disk, the same entry as the leader. A follower that is in a
// later term, or that lost its data, has nothing to do with it.
func (c *checker) matches(r *replica, now *actors.Status) {
	for i := range now.Peers {
		p := &now.Peers[i]
		if given := c.matched[vote{p.Identity, now.Term}]; p.Match > given {
			c.fail(ruleForgedAck, "%v leads term %d and counts %v up to %d, which has acknowledged up to %d", r, now.Term, p.Identity, p.Match, given)
		}
		own, ok := r.store.at(p.Match)
		d := c.store(p.Identity)
		if !ok || d == nil || d.hard.Term != now.Term || d.covers(p.Match) {
			continue
		}
		if at, _ := d.at(p.Match); at != own {
			c.fail(ruleMatch, "%v leads term %d and believes that %v holds %v; there is %v", r, now.Term, p.Identity, own, at)
		}
	}
}

func leads(s *actors.Status) bool { return s.Role == core.RoleLeader }

// onQuorum returns the LogID that a quorum's disks hold at an index.
func (c *checker) onQuorum(configuration *membership.Configuration, i core.Index) (core.LogID, bool) {
	for _, m := range configuration.Members {
		d := c.store(m.Identity)
		if d == nil {
			continue
		}
		id, ok := d.at(i)
		if !ok {
			continue
		}
		if c.heldBesides(nil, configuration, id) {
			return id, true
		}
	}
	return core.LogID{}, false
}

// heldBesides reports whether the disks of a quorum hold an entry, one disk not
// being looked at.
func (c *checker) heldBesides(besides *store, configuration *membership.Configuration, id core.LogID) bool {
	return configuration.QuorumValue(func(voter membership.Identity) uint64 {
		d := c.store(voter)
		if d == nil || d == besides {
			return 0
		}
		at, _ := d.at(id.Index)
		return truth(at == id || d.covers(id.Index))
	}) == 1
}

// counted reports whether a committed index stands on what this disk holds: its
// node led the term in which the index was found to be committed, or has
// acknowledged it in that term or in a later one. Whatever the disk had been asked
// to write there was durable before either (rules 3 and 6).
func (c *checker) counted(d *store, i core.Index) bool {
	in, _ := slices.BinarySearchFunc(c.advances, i, func(a advance, i core.Index) int { return cmp.Compare(a.to, i) })
	if in == len(c.advances) {
		return true
	}
	term := c.advances[in].in
	if c.leaders[term] == d.identity {
		return true
	}
	for at, match := range c.matched {
		if at.voter == d.identity && at.term >= term && match >= i {
			return true
		}
	}
	return false
}

// durable checks entries that a durable machine is about to apply.
func (c *checker) durable(d *store, entries []core.Entry) {
	for i := range entries {
		id := entries[i].LogID
		if at, _ := d.at(id.Index); at != id && d.purged.Index < id.Index {
			c.fail(ruleDurable, "%v, the disk of %v has up to %v", id, d.identity, d.last())
			return
		}
	}
}

// applied compares one applied entry with the history, or prolongs that.
func (c *checker) applied(r *replica, e *core.Entry, state *machineState, result []byte) {
	c.sim.trace.add(traceApply, uint64(r.node.id), uint64(e.Term), uint64(e.Index), state.chain)
	i := int(e.Index)
	if i == len(c.history)+1 {
		c.extend(r, e, state, result)
		return
	}
	if i > len(c.history) {
		c.fail(ruleMachineSafety, "%v applies %v, and nobody has applied %d", r, e.LogID, i-1)
		return
	}
	f := &c.history[i-1]
	if f.id != e.LogID || f.content != contentOf(e) {
		c.fail(ruleMachineSafety, "%v applies %v where %v was applied", r, e.LogID, f.id)
	} else if f.chain != state.chain || f.registers != state.registers {
		c.fail(ruleMachineHash, "%v after %v", r, e.LogID)
	}
}

func (c *checker) extend(r *replica, e *core.Entry, state *machineState, result []byte) {
	if id, ok := c.certain[e.Index]; ok && id != e.LogID {
		c.fail(ruleMachineSafety, "%v applies %v where %v is committed", r, e.LogID, id)
	}
	f := fact{id: e.LogID, content: contentOf(e), chain: state.chain, registers: state.registers, result: result}
	if e.Kind == core.EntryConfiguration {
		c.brought(e)
	}
	if e.Kind == core.EntryCommand {
		f.work = c.happened(r, e)
	}
	c.history = append(c.history, f)
}

// snapshotCommitted checks a snapshot that became visible.
func (c *checker) snapshotCommitted(d *store, meta core.SnapshotMeta, content []byte) {
	c.snapshots++
	c.sim.trace.add(traceDisk, uint64(d.identity.ID), uint64(meta.Term), uint64(meta.Index), meta.SizeBytes)
	c.sim.trace.say("disk of %v: snapshot %v", d.identity, meta.LogID)
	if len(content) < machineStateBytes {
		c.fail(ruleSnapshot, "%v on the disk of %v has %d bytes", meta.LogID, d.identity, len(content))
		return
	}
	s := decodeMachineState(content)
	if s.applied != meta.LogID {
		c.fail(ruleSnapshot, "%v on the disk of %v contains %v", meta.LogID, d.identity, s.applied)
	}
	c.state(d.identity, &s, content)
	c.describes(d.identity, &meta)
}

// state checks a state that came out of a snapshot.
func (c *checker) state(where membership.Identity, s *machineState, content []byte) {
	i := int(s.applied.Index)
	if i == 0 || i > len(c.history) {
		c.fail(ruleSnapshot, "%v at %v, and only %d was applied", s.applied, where, len(c.history))
		return
	}
	f := &c.history[i-1]
	if f.id != s.applied || f.chain != s.chain || f.registers != s.registers {
		c.fail(ruleSnapshot, "%v at %v", s.applied, where)
	}
	if want := s.filler(len(content) - machineStateBytes); string(want) != string(content[machineStateBytes:]) {
		c.fail(ruleSnapshot, "%v at %v: its content is damaged", s.applied, where)
	}
}

// restored checks a state that replaces that of a machine.
func (c *checker) restored(r *replica, s *machineState, content []byte) {
	c.restores++
	c.sim.trace.add(traceRestore, uint64(r.node.id), uint64(s.applied.Term), uint64(s.applied.Index))
	c.state(r.identity(), s, content)
	if s.applied.Index < r.machine.state.applied.Index {
		c.fail(ruleRestoreBack, "%v: from %v to %v", r, r.machine.state.applied, s.applied)
	}
}
