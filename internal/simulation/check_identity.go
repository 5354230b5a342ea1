package simulation

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Names of what is checked about strangers and about how a cluster begins.
const (
	ruleCluster      = "identity: a disk changes its cluster"
	ruleTwoClusters  = "forming: two clusters were begun from one list (rule 31)"
	ruleBegun        = "forming: a cluster was begun without the grants of all (rule 31)"
	ruleTwoGrants    = "forming: a grant while another one lives (rule 31)"
	ruleGrantDurable = "forming: a grant was sent before it was durable (rule 31)"
	ruleEmptyVotes   = "identity: an empty group votes (rule 19)"
	ruleInTheClear   = "identity: the cluster id travels in the clear (rule 27)"
	ruleForgedAck    = "identity: a leader counts what a peer has never said (rule 29)"
)

// grant is the leave that an incarnation gave to one attempt.
type grant struct {
	by, to  membership.Identity
	attempt uint64
}

// pair is a node and a beginner that asks it.
type pair struct{ by, to membership.Identity }

// hold is which attempt was asked for last, and until when its grants live: at the
// node that gave one, it may not be replaced; at the beginner they count.
type hold struct {
	attempt uint64
	until   core.Instant
}

// belongs checks the cluster and the grant of a hard state that is being
// written.
func (c *checker) belongs(d *store, h *core.HardState) {
	was := &d.hard
	if g := &h.Grant; !g.IsZero() {
		c.granted[grant{d.identity, g.To, g.Attempt}] = true
		old := was.Grant
		held := c.held[pair{d.identity, old.To}]
		if old.To != d.identity && old.To != g.To && held.attempt == old.Attempt && c.sim.clock.now < held.until {
			c.fail(ruleTwoGrants, "node %v grants attempt %d of %v, %v before that of %v ends", d.identity, g.Attempt, g.To, held.until.Sub(c.sim.clock.now), old.To)
		}
	}
	switch {
	case h.Cluster == was.Cluster:
		return
	case !was.Cluster.IsZero():
		c.fail(ruleCluster, "the disk of %v: from %v to %v", d.identity, was.Cluster, h.Cluster)
	case !c.cluster.IsZero() && c.cluster != h.Cluster:
		c.fail(ruleTwoClusters, "the disk of %v belongs to %v, and there is %v", d.identity, h.Cluster, c.cluster)
	case h.Vote == d.identity:
		c.begins(d)
	}
	c.cluster = h.Cluster
}

// begins checks that all have granted the attempt that stands on the disk, or
// had before their directories were lost. A single node asks nobody.
func (c *checker) begins(d *store) {
	for _, n := range c.sim.nodes {
		if n.id == d.identity.ID || int(n.id) > c.sim.plan.founders {
			continue
		}
		granted := false
		for _, other := range c.stores {
			if g := d.hard.Grant; other.identity.ID == n.id && g.To == d.identity && c.granted[grant{other.identity, g.To, g.Attempt}] {
				granted = true
			}
		}
		if !granted {
			c.fail(ruleBegun, "node %v begins its attempt %d, and node %d has not granted it", d.identity, d.hard.Grant.Attempt, n.id)
		}
	}
}

// asks takes note of the attempt that a beginner makes, and of its end. It asks for
// grants of the whole length and counts them for less, from when it first asked: a
// tenth less, which is more than its clock may be slow.
func (c *checker) asks(m *core.IdentifyRequest) {
	switch {
	case m.Release:
		delete(c.attempts, m.From)
	case m.Attempt != 0 && c.attempts[m.From].attempt != m.Attempt:
		c.attempts[m.From] = hold{m.Attempt, c.sim.clock.now.Add(millis(m.LengthMillis))}
	}
}

// askedFor takes note of what arrives at a node: a grant that it gives now lives
// at least as long as its clock may need for what was asked, unless it is released
// or the same beginner asks for another attempt. That it is renewed is not looked
// at.
func (c *checker) askedFor(r *replica, m *core.IdentifyRequest) {
	p := pair{r.identity(), m.From}
	switch held := c.held[p]; {
	case m.Attempt == 0:
	case m.Release:
		delete(c.held, p)
	case held.attempt != m.Attempt:
		const fastestClock = 1060 // in a thousandth
		c.held[p] = hold{m.Attempt, c.sim.clock.now.Add(time.Duration(m.LengthMillis) * time.Second / fastestClock)}
	}
}

// grants checks that a grant that is sent was durable. That of an attempt which
// is over may have been released, or have run out, before the disk took it: nobody
// waits for it.
func (c *checker) grants(r *replica, m *core.IdentifyResponse) {
	asked := c.attempts[m.To]
	if m.Granted && asked.attempt == m.Attempt && c.sim.clock.now < asked.until && !c.granted[grant{r.identity(), m.To, m.Attempt}] {
		c.fail(ruleGrantDurable, "%v grants attempt %d of %v", r, m.Attempt, m.To)
	}
}

// introduction is who may be told the cluster's id by whom.
type introduction struct {
	by   *replica
	term core.Term
	to   membership.Identity
}

// knowsCluster reports whether a node has the cluster's id: one that was removed has it
// still, and its stream goes on until it knows.
func (c *checker) knowsCluster(id membership.Identity) bool {
	d := c.sim.nodes[id.ID-1].disk
	return d.identity == id && d.of(c.group.id).hard.Cluster == c.cluster
}

// introduced checks a message that tells the cluster id in the clear: it is for
// a learner of the leader's configuration that has acknowledged nothing, or had
// not when its transfer of a snapshot was decided on. Who votes has acknowledged
// something in this term, or never was such a learner in it: the acknowledgement that
// the core has from a heartbeat may make it a voter before its stream hears of it.
func (c *checker) introduced(r *replica, m core.Message) {
	to, st := m.Head().To, &r.status
	k := &st.Configuration.Configuration
	_, member := k.Member(to)
	_, entries := m.(*core.AppendEntries)
	_, chunk := m.(*core.SnapshotChunk)
	votes := k.IsVoter(to)
	acknowledged := slices.ContainsFunc(st.Peers, func(p core.PeerStatus) bool { return p.Identity == to && p.Match > 0 })
	if !acknowledged {
		delete(c.ackKnown, introduction{r, st.Term, to}) // it may have been removed and added again
	}
	told := ""
	switch {
	case !entries && !chunk:
		told = "in such a message"
	case st.Term > m.Head().Term || !leads(st): // what a leadership has left behind
	case !member && !c.knowsCluster(to):
		told = "who is no member"
	case votes && !acknowledged:
		told = "who votes"
	case acknowledged && entries && c.longAcknowledged(introduction{r, st.Term, to}):
		told = "who has acknowledged"
	}
	if told != "" {
		c.fail(ruleInTheClear, "%v tells it to %v, %s: %s", r, to, told, describe(m))
	}
}

// longAcknowledged reports whether a leader has known of an acknowledgement for an
// election time-out. The core learns it by a heartbeat's answer, and its stream
// when it runs next.
func (c *checker) longAcknowledged(i introduction) bool {
	since, known := c.ackKnown[i]
	if !known {
		if c.ackKnown == nil {
			c.ackKnown = make(map[introduction]core.Instant)
		}
		since = c.sim.clock.now
		c.ackKnown[i] = since
	}
	return c.sim.clock.now.Sub(since) > c.sim.plan.electionMax()
}
