package core

import (
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// Rule 31: a cluster is begun only under unanimous, exclusive grants.
const (
	// grantLengthMin and grantLengthMax bound for how long a beginner asks.
	grantLengthMin = 10 * time.Second
	grantLengthMax = 5 * time.Minute
	// deferenceTimeouts is for how many election time-outs after a lower id has
	// asked with the same list a node does not ask itself.
	deferenceTimeouts = 3
)

// grants is what an empty group has granted last, beside hard.Grant.
type grants struct {
	// until is when the grant ends, on this node's clock.
	until Instant
	// write makes it durable, 0 once it is: a grant is durable before it is sent.
	write IOID
	// quietUntil: this node does not ask before.
	quietUntil Instant
}

// recallGrant takes what the hard state says at the start: a grant to another
// counts anew, for nobody knows how long this node was away; one to oneself is
// void, for the attempt has ended with the process.
func (e *Engine) recallGrant() {
	if g := &e.hard.Grant; g.To == e.cfg.Self || !e.hard.Cluster.IsZero() {
		*g = Grant{}
	} else if !g.IsZero() {
		e.grants.until = e.now.Add(time.Duration(g.LengthMillis) * time.Millisecond)
	}
}

// liveGrant returns the grant that lives here, zero if none does.
func (e *Engine) liveGrant() Grant {
	if e.now < e.grants.until {
		return e.hard.Grant
	}
	return Grant{}
}

// mayFollow reports whether an empty group may be brought into a cluster by
// from. While a grant lives it follows that beginner's stream and no other.
func (e *Engine) mayFollow(from Identity) bool {
	g := e.liveGrant()
	return g.IsZero() || g.To == from
}

// onIdentify answers who this node is, and grants an attempt or refuses it.
// Anybody may ask, and is told nothing that could not be shown to anybody.
func (e *Engine) onIdentify(m *IdentifyRequest) {
	r := &IdentifyResponse{Header: e.answerHead(&m.Header), ID: m.ID, Attempt: m.Attempt, Empty: e.empty()}
	if e.proves(&m.Header) {
		r.Last = e.log.last
	}
	switch {
	case m.Release:
		e.releaseGrant(m)
		return
	case !r.Empty && m.List != (membership.Founding{}):
		r.SameList = m.List == e.founding()
		r.Known = e.knownOtherwise(m, r.SameList)
	case r.Empty && m.Attempt != 0:
		if !e.grant(m, r) {
			return // the answer leaves with the write
		}
	}
	e.out.send(r)
}

// knownOtherwise returns the identity under which the cluster knows the asker's
// node, if that is another and the asker is not exchanged for it: its data was
// lost.
func (e *Engine) knownOtherwise(m *IdentifyRequest, sameList bool) Identity {
	if !sameList || e.exchangeWanted(m.From) {
		return Identity{}
	}
	c := &e.configs.latest().Configuration
	founding := c.Target.IsFounding()
	if e.role != RoleLeader && founding && len(c.Voters) == 1 && !c.Joint() {
		return Identity{} // the leader may exchange it, and says so if not
	}
	members := c.Members
	if founding {
		members = slices.Concat(members, c.Target.Members)
	}
	known := Identity{}
	for _, member := range members {
		switch {
		case member.Identity == m.From:
			return Identity{}
		case member.ID == m.From.ID:
			known = member.Identity
		}
	}
	return known
}

// grant decides on an attempt of another node, and reports whether r may be sent
// at once.
func (e *Engine) grant(m *IdentifyRequest, r *IdentifyResponse) (answer bool) {
	length := time.Duration(m.LengthMillis) * time.Millisecond
	if length <= 0 || length > max(grantLengthMax, e.cfg.ElectionTimeout) {
		return true
	}
	if f := &e.forming; f.running && f.list == m.List {
		if !slices.ContainsFunc(f.members, func(o formingMember) bool { return o.ID == m.From.ID }) {
			return true // it is not in the list that it asks with
		}
	}
	if e.attemptIsOver() {
		e.endAttempt() // its timer is late
	}
	if e.forming.running && e.forming.list == m.List && m.From.ID < e.cfg.Self.ID {
		// Where equal lists meet, the lower id goes first.
		e.grants.quietUntil = e.now.Add(deferenceTimeouts * e.cfg.ElectionTimeout)
		e.giveUpAttempt()
	}
	if g := e.liveGrant(); !g.IsZero() && g.To != m.From {
		r.GrantedTo, r.WaitMillis = g.To, millisUp(e.grants.until.Sub(e.now))
		return true
	}
	wanted := Grant{To: m.From, Attempt: m.Attempt, List: m.List, LengthMillis: m.LengthMillis}
	e.grants.until = e.now.Add(length)
	if e.hard.Grant == wanted {
		// Asked again, it is renewed. While its write is under way, this says only
		// that somebody is there.
		r.Granted = e.grants.write == 0
		return true
	}
	r.Granted = true
	e.hard.Grant, e.hardDirty = wanted, true
	w := e.newWrite()
	w.Then = append(w.Then, r)
	e.grants.write = e.submit(w)
	return false
}

// releaseGrant ends a grant whose attempt has ended.
func (e *Engine) releaseGrant(m *IdentifyRequest) {
	if g := &e.hard.Grant; e.empty() && g.To == m.From && g.Attempt == m.Attempt && m.Attempt != 0 {
		e.voidGrant()
		e.stepForming()
	}
}

// voidGrant forgets the grant. The hard state need not say so at once: a grant
// that a restart recalls only makes others wait.
func (e *Engine) voidGrant() {
	if !e.hard.Grant.IsZero() {
		e.hard.Grant, e.hardDirty = Grant{}, true
	}
	e.grants.until, e.grants.write = 0, 0
}

func (e *Engine) grantFlushed(n IOID) {
	if e.grants.write != 0 && e.grants.write <= n {
		e.grants.write = 0
		e.stepForming()
	} else if e.forming.running && !e.empty() {
		e.stepForming() // nobody is told of a cluster that a crash could forget
	}
}
