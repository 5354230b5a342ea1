package actors

import (
	"errors"
	"slices"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/core/stream"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// coreActor runs the engine.
//
//	OWNS      the engine, its timers, the proposals that wait for a leader or
//	          were forwarded to one, the reads that have no index yet, a
//	          bootstrap, elections by hand, transfers of leadership and changes of
//	          the members under way, results that the network did not take yet; it starts and
//	          stops streams and transfers of snapshots
//	RECEIVES  proposals, reads, bootstraps, elections, hand-overs, changes of the members, and that
//	          their callers wait no longer;
//	          the messages of other nodes, and lost connections; notices:
//	          durable, matched, applied, timer, snapshot built, sent, received,
//	          installed; views of the machine; results that were not sent; that
//	          what the application ran while this node led has returned
//	SENDS     what the engine commands: writes to the log actor; pending
//	          proposals, confirmed reads and the commit index to the apply
//	          actor; notices to the streams; messages to the network; a status
//	          and events to whoever watches; to what the application runs while
//	          this node leads, its beginning and its end
//	WAITS ON  nothing
//	BOUND     proposals and reads by InflightProposalsMax and InflightBytesMax,
//	          and those of other nodes that wait for room by the same;
//	          messages by the windows of their senders; results that were
//	          not sent by WindowBytesMax;
//	          bootstraps by their callers; one notice for each request
//	DIES WITH the group; a broken invariant stops the group
type coreActor struct {
	stage.Shell
	coreNeeds
	inbox  coreInbox
	engine *core.Engine
	out    core.Output
	now    core.Instant

	timers    [timersMax]engineTimer
	due       []core.Timer // of this burst
	burst     []any        // what is left of it: a panic comes between
	proposals proposalsInCore
	reads     readsInCore
	// bootstraps wait for the bootstrap under way.
	bootstraps []*bootstrapRequest
	leadership leadershipRequests
	changes    changeRequests
	upkeep     maintenance

	// changed and config are what the engine said last.
	changed core.Changed
	config  core.ConfigurationAt
	// told are the addresses of members that the network was told last.
	told map[membership.NodeID]string

	// logNotice is what the streams are to be notified of.
	logNotice    logNotice
	commitNotice stage.Timer
	// applyTo is told once a burst, at its end.
	applyTo core.Index
	// attention is what the inbox was told last.
	attention attention
	// Events that every burst has use for.
	flushed  core.Flushed
	applied  core.Applied
	matched  core.Matched
	progress core.PeerProgress
	busy     core.StoreBusy
	// started: the engine has made its first step.
	started bool

	retry      stage.Timer
	retryArmed bool

	// views came too late to be written.
	views []*snapshotViewed
	// holder is the group as the node's holds know it.
	holder holder
}

// Items of the core's inbox beside core events, proposals and reads.
type (
	startEngine     struct{}
	cancelPropose   struct{ p *Proposal }
	roomless        struct{ p *Proposal } // of another node, which gets no room any more
	cancelRead      struct{ r *Read }
	timerDue        struct{ timer core.Timer }
	retryDue        struct{}
	commitNoticeDue struct{}
	refusedResults  struct{ m *core.ProposeResponse }
	// snapshotViewed is a view that the apply actor took.
	snapshotViewed struct {
		meta core.SnapshotMeta
		view storage.SnapshotView
		// export, if not nil, is who asked for it; else it is for a snapshot.
		export *snapshots.Export
	}
)

// coreNeeds is what the core actor is given.
type coreNeeds struct {
	home
	cfg     *GroupConfig
	self    membership.Identity
	network coreNetwork
	// takes is the largest message of a class that can be sent to a node, 0 if any.
	takes func(membership.NodeID, core.Class) int
	// unreachable says why a node cannot be reached now, nil if it can.
	unreachable func(membership.NodeID) error
	// write hands a write to the log: the in-memory log serves it from then on.
	write func(*core.Write)
	// storeBusy is since when the store's write under way has been, 0 if there is none.
	storeBusy func() core.Instant
	memoryLog *memlog.Log
	apply     applyMail
	// streams and jobs are the actors that the core starts and stops.
	streams *streams
	jobs    *snapshots.Jobs
	// holds is told what the log keeps for others.
	holds *holds
	// seen is what the core lets others see, status the whole of it with what others
	// know, for those who watch; notify takes a notice.
	status    func() Status
	seen      *seen
	notify    func(*core.Notice)
	admission *admission.Room[*Proposal]
	underWay  readRoom
	answers   *resultSender
	// closed is told that the core has handed over the last that it had.
	closed    func()
	stopCause func() error
	// readable is what reads are answered by without the core.
	readable *readable
	// leading runs the application's function, nil if there is none.
	leading *leading
}

// coreNetwork is what the core uses of the node's network.
type coreNetwork interface {
	Send(core.Message) bool
	Sent(membership.NodeID, core.Class) uint64
	Break(membership.NodeID, core.Class)
	SetAddress(membership.NodeID, string)
	// Introduce is SetAddress for a node of which no group has set any.
	Introduce(membership.NodeID, string)
}

// applyMail is what the core tells the apply actor.
type applyMail interface {
	// applyUpTo: the log is committed up to the index.
	applyUpTo(core.Index)
	// hold takes the proposals that were appended, before anything can make the actor
	// apply it. hold and serve report false when the actor has ended.
	hold(pendingProposals) bool
	// serve completes reads when their index is applied.
	serve(readBatch) bool
	// forget tells that one of those reads was cancelled: its room is returned. It
	// reports false when the actor has ended.
	forget() bool
	// giveView asks for a view, giveRecord for what the machine has made durable, and
	// installNow for the installation of a snapshot.
	giveView()
	giveRecord(core.BuildSnapshot)
	installNow(core.SnapshotMeta)
}

func newCoreActor(needs coreNeeds, engine *core.Engine) *coreActor {
	c := &coreActor{coreNeeds: needs, engine: engine}
	c.Shell = c.Home.Shell("core", c.step, c.finish)
	c.Release, c.ReleaseKind = c.closeViews, calls.Close
	c.inbox.Wake, c.inbox.Meter = c.Wake, c.watch.Inbox(observe.ActorCore)
	c.proposals.init(c)
	c.holder = holder{group: c.cfg.Group, every: c.cfg.HeartbeatInterval, letGo: func(ev *core.LetGoOfLog) { c.put(ev) }}
	return c
}

// put hands over an event, or one of the items above.
func (c *coreActor) put(item any) bool { return c.inbox.Put(item, true) }

// noteApplied, noteMatched: see coreMail.
func (c *coreActor) noteApplied(id core.LogID) { c.inbox.noteApplied(id) }
func (c *coreActor) noteMatched(counts bool)   { c.inbox.noteMatched(counts) }

// step carries out one burst: everything that has piled up.
func (c *coreActor) step() bool {
	woken, _ := c.inbox.Pending()
	if !woken {
		return false
	}
	// If proposals or reads alone woke it, the other clients come along. Reads that
	// come together share a round.
	c.inbox.Gather(c.Env)
	items, notices, urgent := c.inbox.takeAll()
	c.burst = items
	if urgent {
		c.proposals.progress()
	}
	// Rule 15: now is read after the inbox was swapped out, and timers come
	// after everything that was said before they fired.
	c.now = instant(c.Env)
	c.takeStoreBusy()
	if notices.flushed != 0 {
		c.flushed.IOID = notices.flushed
		c.stepEngine(&c.flushed)
	}
	for i, item := range items {
		c.burst = items[i+1:]
		c.handle(item)
	}
	if notices.matched {
		c.takeMatches()
	}
	if notices.applied.Index != 0 {
		c.applied.LogID = notices.applied
		c.stepEngine(&c.applied)
	}
	for _, timer := range c.due {
		c.fire(timer)
	}
	c.due = c.due[:0]
	c.proposals.pump()
	c.reads.ask(c)
	observe.Burst{Engine: c.engine, Now: c.now}.Tell(c.watch)
	if c.logNotice.hasEntries() {
		c.notifyStreams()
	}
	c.armCommitNotice()
	c.tellApply()
	c.armRetry()
	c.publish()
	c.leadership.tellEnded()
	c.changes.tellEnded()
	c.upkeep.tellEnded()
	c.runLeading()
	c.attend()
	return false // whatever comes next wakes it
}

// takeStoreBusy tells the engine of a write of the store that takes long, and when that
// has ended. The engine's first step is its start.
func (c *coreActor) takeStoreBusy() {
	if !c.started {
		return
	}
	since := c.storeBusy()
	if c.now.Sub(since) <= c.cfg.ElectionTimeout {
		since = 0
	}
	if since != c.busy.Since {
		c.busy.Since = since
		c.stepEngine(&c.busy)
	}
}

// attend tells the inbox which notices the engine waits for.
func (c *coreActor) attend() {
	now := attention{flush: c.engine.WaitsForFlush(), matches: c.engine.WaitsForMatches(), applied: c.leading != nil && c.engine.WaitsForApplied()}
	if now != c.attention {
		c.attention = now
		c.inbox.attend(now)
	}
}

// takeMatches tells the engine what the streams have learned.
func (c *coreActor) takeMatches() {
	for _, s := range c.streams.running {
		if match := core.Index(s.newMatch.Swap(0)); match > 0 {
			c.matched = core.Matched{Peer: s.key.peer, Stream: s.key.stream, Match: match}
			c.stepEngine(&c.matched)
		}
	}
}

func (c *coreActor) handle(item any) {
	switch item := item.(type) {
	case *Proposal:
		c.proposals.accept(item)
	case *Read:
		if item.stage.Load() == stageCore { // else it was given up before it came
			c.reads.accept(item)
		}
	case *cancelPropose:
		c.proposals.cancel(item.p)
	case *roomless:
		c.proposals.endRoomless(item.p)
	case *cancelRead:
		c.reads.cancel(c, item.r)
	case *timerDue:
		c.due = append(c.due, item.timer)
	case *core.ProposeRequest:
		c.proposals.onRequest(item)
	case *core.ProposeResponse:
		c.proposals.onResponse(item)
	case *core.PeerDown:
		c.onPeerDown(item)
	case *snapshotViewed:
		c.writeView(item)
	case *madeDurable:
		c.writeRecord(item)
	case *core.SnapshotSent:
		c.transferEnded(item)
		c.stepEngine(item)
	case *core.SnapshotBuilt:
		if !errors.Is(item.Err, core.ErrNotNow) { // nothing has failed
			c.tellOfSnapshot(item, "")
		}
		c.stepEngine(item)
	case *core.SnapshotInstalled:
		c.tellOfSnapshot(item, "")
		c.stepEngine(item)
	case *leadingReturned:
		if item.lapsed {
			c.stepEngine(&core.RenewTerm{Term: item.term})
		}
	case *core.ChangeRequest:
		c.stepFor(observe.Asking{Context: item.Trace, Remote: true}, item)
	case *core.TransferRequest:
		c.stepFor(observe.Asking{Context: item.Trace, Remote: true}, item)
	case *core.TimeoutNow:
		c.stepFor(observe.Asking{Context: item.Trace, Remote: true}, item)
	case *refusedResults:
		c.proposals.unsent.keep(item.m, c.now)
	case *commitNoticeDue:
		c.logNotice.due()
		c.notifyStreams()
	case *retryDue:
		c.retryArmed = false
		c.onRetry()
	case *startEngine:
		c.engine.Start(c.now, &c.out)
		c.readable.show(c.engine.Readable())
		c.showLeading()
		c.execute(nil)
		c.started = true
	case core.Event:
		c.stepEngine(item)
		if m, ok := item.(core.Message); ok {
			observe.Stepped{Message: m, Leads: c.changed.Role == core.RoleLeader}.Tell(c.watch)
		}
	default:
		c.handleRequest(item)
	}
}

// handleRequest takes what a caller asks of the members and of who leads, and that he
// waits no longer.
func (c *coreActor) handleRequest(item any) {
	switch item := item.(type) {
	case *bootstrapRequest:
		c.beginBootstrap(item)
	case *cancelBootstrap:
		c.cancelBootstrap(item.id)
	case *electRequest:
		c.elect(item)
	case *cancelElect:
		c.cancelElect(item)
	case *transferRequest:
		c.transfer(item)
	case *cancelTransfer:
		c.cancelTransfer(item)
	case *pauseRequest:
		c.pauseElections(item)
	case *changeRequest:
		c.changeMembers(item)
	case *endChangeWait:
		c.endChangeWait(item)
	case *purgeRequest:
		c.purge(item)
	case *snapshotRequest:
		c.snapshot(item)
	case *policyRequest:
		c.setPolicy(item)
	default:
		panic("an unknown item in the core's inbox")
	}
}

// stepEngine steps the engine and carries out its commands before the next step.
// What reads are answered by is shown before any of them, and what is over for the
// application has ended before.
func (c *coreActor) stepEngine(ev core.Event) {
	c.engine.Step(c.now, ev, &c.out)
	c.readable.show(c.engine.Readable())
	c.showLeading()
	c.execute(ev)
}

// showLeading ends what the application runs while this node leads, if that is over.
func (c *coreActor) showLeading() {
	if c.leading != nil {
		c.leading.show(c.engine.Leading(), c.now)
	}
}

// runLeading begins it, if its time has come.
func (c *coreActor) runLeading() {
	if c.leading == nil {
		return
	}
	c.leading.begin(c.now)
	if c.leading.changed.Swap(false) && c.seen.watchers.some() {
		c.seen.watchers.tell(c.status())
	}
}

// transferEnded lets the stream go on whose snapshot was sent, or was not.
func (c *coreActor) transferEnded(ev *core.SnapshotSent) {
	if text, news := c.jobs.Ended(ev); news {
		c.tellOfSnapshot(ev, text)
	}
	if s := c.streams.find(streamKey{ev.Peer, ev.Stream}); s != nil {
		s.inbox.Put(&stream.SnapshotSent{LogID: ev.LogID, OK: ev.OK}, true)
	}
}

func (c *coreActor) onPeerDown(ev *core.PeerDown) {
	if ev.Class == core.ClassBulk {
		for _, s := range c.streams.running {
			if s.key.peer.ID == ev.Node {
				s.inbox.Put(&stream.Down{}, true)
			}
		}
		c.proposals.onPeerDown(ev.Node)
	}
	if ev.Class == core.ClassSnapshot {
		c.jobs.PeerDown(ev.Node)
	}
	c.stepEngine(ev)
}

// notifyStreams tells the streams how far the log reaches and is committed.
func (c *coreActor) notifyStreams() {
	if grown, ok := c.logNotice.take(); ok {
		for _, s := range c.streams.running {
			s.inbox.grow(grown)
		}
	}
}

// armCommitNotice keeps a timer running while there is something to notify of.
func (c *coreActor) armCommitNotice() {
	switch {
	case !c.logNotice.delay():
	case c.commitNotice == nil:
		c.commitNotice = c.Env.AfterFunc(commitNoticeDelay, func() { c.put(&commitNoticeDue{}) })
	default:
		c.commitNotice.Reset(commitNoticeDelay)
	}
}

// tellApply tells the apply actor once a burst how far it may go.
func (c *coreActor) tellApply() {
	if c.applyTo > 0 {
		c.apply.applyUpTo(c.applyTo)
		c.applyTo = 0
	}
}

// armRetry keeps one timer running while anything waits to be tried again.
func (c *coreActor) armRetry() {
	if c.retryArmed || !c.proposals.needsRetry() {
		return
	}
	c.retryArmed = true
	if c.retry == nil {
		c.retry = c.Env.AfterFunc(c.cfg.HeartbeatInterval, func() { c.put(&retryDue{}) })
		return
	}
	c.retry.Reset(c.cfg.HeartbeatInterval)
}

func (c *coreActor) onRetry() {
	c.proposals.onRetry()
}

// publish makes the engine's state at the end of a burst the group's. Watchers
// are told if it says anything new; while nobody watches nothing is allocated.
//
// Who begins to watch looks at the status afterwards. So the state is published
// first, and watchers are looked for behind it: one of the two sees the other.
func (c *coreActor) publish() {
	before, now := c.seen.published.put(c.engine.StatusInto)
	c.seen.appendTimes.Note(before, now, c.now)
	c.holds.note(&c.holder, now.HeldBytes, c.now)
	if c.seen.watchers.some() && now.Differs(before) {
		c.seen.watchers.tell(c.status())
	}
}

// finish ends the core: whoever waits is answered, everything that it started
// ends too.
func (c *coreActor) finish() {
	defer c.closed()
	left := c.inbox.Close()
	c.readable.lease.Store(0)
	c.holds.note(&c.holder, 0, c.now)
	for i := range c.timers {
		c.timers[i].cancel()
	}
	for _, timer := range []stage.Timer{c.retry, c.commitNotice} {
		if timer != nil {
			timer.Stop()
		}
	}
	cause := c.stopCause()
	for _, item := range slices.Concat(c.burst, left) {
		switch item := item.(type) {
		case *Proposal:
			c.proposals.accept(item)
		case *roomless:
			c.proposals.endRoomless(item.p)
		case *Read:
			c.underWay.finish(item, stageCore, 0, cause)
		case *snapshotViewed:
			c.views = append(c.views, item)
		case *bootstrapRequest:
			item.done(cause)
		case *electRequest:
			item.done(0, cause)
		case *transferRequest:
			item.done(Handover{}, cause)
		case *pauseRequest:
			item.done(cause)
		case *changeRequest:
			item.done(ChangeOutcome{}, cause)
		case *purgeRequest:
			item.done(0, cause)
		case *snapshotRequest:
			item.done(core.SnapshotMeta{}, cause)
		case *policyRequest:
			item.done(cause)
		case *core.ProposeRequest:
			// Whoever forwarded them is told below that they were not appended.
			c.proposals.onRequest(item)
		}
	}
	c.proposals.finish(cause)
	c.reads.finish(c, cause)
	c.endBootstraps(cause)
	c.leadership.finish(cause)
	c.changes.finish(cause)
	c.upkeep.finish(cause)
	c.streams.stopAll()
	c.jobs.Stop()
}
