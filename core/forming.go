package core

import (
	"fmt"
	"slices"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// forming is a bootstrap under way on a node that was asked for one: it asks all
// members who they are and for their grants, and begins the cluster when it has
// all of them, or waits to be brought in (rules 19, 31).
type forming struct {
	running bool
	list    membership.Founding
	members []formingMember
	// cluster and time are for the first entry, if this node begins.
	cluster ClusterID
	time    int64
	// since is when it was asked for; a member that is not heard of for askLimit
	// ends it.
	since    Instant
	askLimit time.Duration
	// identify numbers what members are asked, from asked0 on: an answer to an
	// earlier forming, of another list perhaps, says nothing for this one.
	asked0, identify uint64

	// attempt is the number of the attempt under way, 0 between two. Its grants
	// live for length from asked on. length outlives the forming: what ran out
	// would run out again if a user with less patience asks anew.
	attempt uint64
	asked   Instant
	length  time.Duration
	// again is when members are asked again.
	again Instant
	timer deadline
}

// formingMember is what is known of a member of the list.
type formingMember struct {
	membership.Member
	granted bool
	// brings: it belongs to the cluster of this list, and so will bring us in.
	brings bool
	// heard is when it answered last, 0 if it never did.
	heard Instant
	// holder has its grant, zero if nobody else has.
	holder Identity
	// cause is why it could not be reached.
	cause error
}

// Waiting says whom a bootstrap waits for, and why.
type Waiting struct {
	Node NodeID
	Why  string
}

// String writes "node 3: why".
func (w Waiting) String() string { return fmt.Sprintf("node %d: %s", w.Node, w.Why) }

// onBootstrap begins to form a cluster, or joins the forming under way. On a
// group that belongs to a cluster the same list is fine, and anything else an
// error.
func (e *Engine) onBootstrap(ev *Bootstrap) {
	ev.Done = false
	ev.Err = e.checkBootstrap(ev.Members)
	if ev.Err != nil {
		return
	}
	list := membership.FoundingOf(ev.Members)
	f := &e.forming
	switch {
	case !e.empty():
		ev.Done = list == e.founding()
		if !ev.Done {
			ev.Err = e.otherList()
		}
		return
	case e.unknownToGroup() && len(ev.Members) == 1:
		// Nobody else is asked, who could say whether it is true.
		ev.Err = &BootstrapError{Node: e.cfg.Self.ID, Reason: "is a member of a group that knows it by another incarnation: its data was lost"}
		return
	case f.running && f.list != list:
		ev.Err = &BootstrapError{Node: e.cfg.Self.ID, Reason: "is forming a cluster already, with another list of members"}
		return
	case f.running:
		return
	}
	first := e.rand.Uint64() >> 1
	*f = forming{
		running: true, list: list, cluster: ev.Cluster, time: ev.Time, since: e.now, askLimit: ev.AskLimit,
		asked0: first, identify: first, length: max(f.length, grantLengthMin, e.cfg.ElectionTimeout), timer: f.timer,
	}
	for _, m := range ev.Members {
		m.Incarnation = 0
		if m.ID == e.cfg.Self.ID {
			m.Incarnation = e.cfg.Self.Incarnation
		}
		f.members = append(f.members, formingMember{Member: m})
	}
	e.out.add(&DialMembers{Members: slices.Clone(ev.Members)})
	e.stepForming()
}

// founding is the hash of the list that the group's cluster was founded with.
func (e *Engine) founding() membership.Founding {
	return foundingOf(&e.configs.latest().Configuration)
}

func (e *Engine) otherList() error {
	c := &e.configs.latest().Configuration
	return &BootstrapError{Node: e.cfg.Self.ID, Reason: "belongs to a cluster already, founded with another list of members: now " + c.String()}
}

// stepForming does what can be done now, and sets the time to look again.
func (e *Engine) stepForming() {
	f := &e.forming
	if !f.running {
		return
	}
	if !e.empty() {
		e.concludeForming()
		return
	}
	switch {
	case e.attemptIsOver():
		e.endAttempt()
	case f.attempt != 0 && e.grants.write == 0 && !slices.ContainsFunc(f.members, func(m formingMember) bool { return !m.granted }):
		e.begin()
		return
	case f.attempt == 0 && e.mayAttempt():
		e.beginAttempt()
		if len(f.members) == 1 {
			e.stepForming()
			return
		}
	}
	if e.now >= f.again {
		f.again = e.now.Add(e.cfg.HeartbeatInterval)
		e.askMembers()
	}
	e.set(&f.timer, TimerForming, f.again)
}

// onFormingTimer asks again, or ends the forming for a member that is not heard of.
func (e *Engine) onFormingTimer() {
	f := &e.forming
	if e.muchTooLate(&f.timer) {
		// Rule 15: this node was asleep, and has yet to read what was said meanwhile.
		f.since = e.now
	}
	if m := f.unreachable(e.cfg.Self.ID, e.now); f.running && e.empty() && m != nil {
		cause := m.cause
		if cause == nil {
			cause = fmt.Errorf("nothing was heard of it for %v", f.askLimit)
		}
		e.endForming(&BootstrapError{Node: m.ID, Reason: "does not answer at " + m.Address, Cause: cause})
		return
	}
	e.stepForming()
}

// unreachable returns a member of which nothing was heard for too long. Who has
// granted is not asked, and who waits to be brought in needs only one of them.
func (f *forming) unreachable(self NodeID, now Instant) *formingMember {
	if f.waitsToBeBroughtIn() {
		return nil
	}
	for i := range f.members {
		m := &f.members[i]
		if m.ID != self && !m.granted && now.Sub(max(m.heard, f.since)) > f.askLimit {
			return m
		}
	}
	return nil
}

// waitsToBeBroughtIn reports whether the cluster of this list was begun.
func (f *forming) waitsToBeBroughtIn() bool {
	return slices.ContainsFunc(f.members, func(m formingMember) bool { return m.brings })
}

// attemptIsOver reports whether the grants of the attempt, of which the first
// was asked for at asked, may have ended on the clock of who gave one.
func (e *Engine) attemptIsOver() bool {
	f := &e.forming
	return f.attempt != 0 && e.now.Sub(f.asked) >= e.lessDrift(f.length)
}

// endAttempt gives up an attempt that ran out. The next one asks for twice the
// time, so that it outlasts disks and links that are slower still.
func (e *Engine) endAttempt() {
	f := &e.forming
	f.length = min(2*f.length, max(grantLengthMax, e.cfg.ElectionTimeout))
	e.giveUpAttempt()
}

// mayAttempt reports whether this node may ask for grants now: no grant to
// another lives here, no lower id has asked lately, and no cluster of this list
// is there yet.
func (e *Engine) mayAttempt() bool {
	return e.liveGrant().IsZero() && e.now >= e.grants.quietUntil && !e.forming.waitsToBeBroughtIn()
}

// beginAttempt grants the attempt to oneself first: that one is needed too.
func (e *Engine) beginAttempt() {
	f := &e.forming
	f.attempt, f.asked, f.again = e.rand.Uint64()|1, e.now, e.now
	for i := range f.members {
		m := &f.members[i]
		m.granted, m.holder = m.ID == e.cfg.Self.ID, Identity{}
	}
	e.hard.Grant = Grant{To: e.cfg.Self, Attempt: f.attempt, List: f.list, LengthMillis: millisUp(f.length)}
	e.grants.until = e.now.Add(f.length)
	if len(f.members) == 1 {
		return // nobody else could be told otherwise
	}
	e.hardDirty = true
	e.grants.write = e.submit(e.newWrite())
}

// giveUpAttempt ends the attempt for good, and releases its grants.
func (e *Engine) giveUpAttempt() {
	f := &e.forming
	if f.attempt == 0 {
		return
	}
	for i := range f.members {
		m := &f.members[i]
		if m.ID != e.cfg.Self.ID {
			e.out.send(&IdentifyRequest{Header: e.head(Identity{ID: m.ID}), Attempt: f.attempt, Release: true})
		}
		m.granted = false
	}
	f.attempt = 0
	if e.hard.Grant.To == e.cfg.Self {
		e.voidGrant()
	}
}

// askMembers asks whoever has not granted the attempt. It is repeated: a
// connection may need its time, and an answer may be lost.
func (e *Engine) askMembers() {
	f := &e.forming
	for i := range f.members {
		m := &f.members[i]
		if m.granted || m.ID == e.cfg.Self.ID {
			continue
		}
		f.identify++
		r := &IdentifyRequest{Header: e.head(Identity{ID: m.ID}), ID: f.identify, List: f.list, Attempt: f.attempt}
		if f.attempt != 0 {
			r.LengthMillis = millisUp(f.length)
		}
		e.out.send(r)
	}
}

// noteUnreachable keeps why a member cannot be reached, for who asks.
func (e *Engine) noteUnreachable(ev *PeerDown) {
	for i := range e.forming.members {
		if m := &e.forming.members[i]; ev.Class == ClassControl && m.ID == ev.Node {
			m.cause = ev.Cause
		}
	}
}

func (e *Engine) onIdentified(m *IdentifyResponse) {
	f := &e.forming
	if !f.running || !e.empty() {
		e.onPeerIdentified(m)
		return
	}
	i := slices.IndexFunc(f.members, func(o formingMember) bool { return o.ID == m.From.ID })
	if i < 0 || m.ID <= f.asked0 || m.ID > f.identify {
		return
	}
	member := &f.members[i]
	member.heard, member.cause = e.now, nil
	if member.Incarnation != m.From.Incarnation {
		// Its directory was emptied meanwhile: what the other granted is void.
		member.Incarnation, member.granted = m.From.Incarnation, false
	}
	member.brings = !m.Empty && m.SameList
	member.holder = m.GrantedTo
	switch {
	case !m.Known.IsZero() && m.Known != e.cfg.Self:
		e.endForming(&BootstrapError{Node: e.cfg.Self.ID, Reason: fmt.Sprintf("lost its data: the cluster knows it as %v; it has to be replaced, or removed and added again", m.Known)})
		return
	case member.brings:
		e.giveUpAttempt()
	case !m.Empty:
		e.endForming(&BootstrapError{Node: m.From.ID, Reason: "is not empty: it belongs to a cluster that was founded with another list, or did"})
		return
	case m.Granted && m.Attempt == f.attempt && f.attempt != 0:
		member.granted = true
	}
	if member.granted || member.brings {
		e.stepForming()
	}
}

// begin makes a single-voter cluster whose first entry records the wanted set
// (rule 19). All have granted this attempt, and the grants live (rule 31).
func (e *Engine) begin() {
	f := &e.forming
	members := make([]membership.Member, len(f.members))
	for i := range f.members {
		members[i] = f.members[i].Member
	}
	configuration, err := membership.Founded(e.cfg.Self, members)
	if err != nil {
		e.endForming(&BootstrapError{Reason: err.Error()})
		return
	}
	e.hard = HardState{Term: e.hard.Term + 1, Vote: e.cfg.Self, Cluster: f.cluster}
	e.hardDirty = true
	e.grants = grants{}
	e.role = RoleFollower
	e.appendOwn([]Entry{{Kind: EntryConfiguration, Time: f.time, Data: configuration.Encode()}})
	e.concludeForming()
	e.election.reason = ElectionAtStart
	e.campaignOrWait()
}

// concludeForming ends the forming of a group that belongs to a cluster now.
func (e *Engine) concludeForming() {
	switch {
	case e.configs.latest().Configuration.IsZero() || e.writes.flushed == 0:
		e.set(&e.forming.timer, TimerForming, e.now.Add(e.cfg.HeartbeatInterval)) // its first entries are on their way, here or to the disk
	case e.founding() != e.forming.list:
		e.endForming(e.otherList())
	default:
		e.endForming(nil)
	}
}

// endForming tells the outcome to who asked, and releases what was granted.
func (e *Engine) endForming(err error) {
	if e.empty() {
		e.giveUpAttempt()
	}
	e.cancel(&e.forming.timer, TimerForming)
	e.forming = forming{timer: e.forming.timer, length: e.forming.length}
	e.out.add(&BootstrapEnded{Err: err})
}

// onBootstrapCancelled ends a forming that nobody waits for any more, unless the
// cluster has begun.
func (e *Engine) onBootstrapCancelled() {
	if f := &e.forming; f.running && e.empty() {
		e.giveUpAttempt()
		e.cancel(&f.timer, TimerForming)
		*f = forming{timer: f.timer, length: f.length}
	}
}

// formingWaits appends whom the forming waits for, and why.
func (e *Engine) formingWaits(waits []Waiting) []Waiting {
	f := &e.forming
	for i := range f.members {
		m := &f.members[i]
		switch {
		case m.ID == e.cfg.Self.ID:
			if g := e.liveGrant(); !g.IsZero() && g.To != e.cfg.Self {
				waits = append(waits, Waiting{m.ID, fmt.Sprintf("granted to node %d", g.To.ID)})
			} else if e.now < e.grants.quietUntil {
				waits = append(waits, Waiting{m.ID, "lets a lower id go first"})
			}
		case m.brings:
			waits = append(waits, Waiting{m.ID, "belongs to the cluster, and brings this node in"})
		case m.granted:
		case m.cause != nil:
			waits = append(waits, Waiting{m.ID, "unreachable: " + m.cause.Error()})
		case m.heard == 0:
			waits = append(waits, Waiting{m.ID, "has not answered yet"})
		case !m.holder.IsZero() && m.holder != e.cfg.Self:
			waits = append(waits, Waiting{m.ID, fmt.Sprintf("granted to node %d", m.holder.ID)})
		case f.attempt != 0:
			waits = append(waits, Waiting{m.ID, "asked for its grant"})
		}
	}
	return waits
}
