package actors

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/trouperaft/troupe/actors/admission"
	"github.com/trouperaft/troupe/actors/calls"
	"github.com/trouperaft/troupe/actors/memlog"
	"github.com/trouperaft/troupe/actors/observe"
	"github.com/trouperaft/troupe/actors/snapshots"
	"github.com/trouperaft/troupe/actors/stage"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// applyActor applies what is committed.
//
//	OWNS      the state machine; the pending proposals that were appended here,
//	          in the order of the log; the configuration in force at the
//	          applied index
//	RECEIVES  how far to apply; pending proposals; reads that wait for an
//	          index, and that one of them does so no more; requests for a view, for
//	          one that is written for somebody outside, for what the machine has made
//	          durable, and for an installation
//	SENDS     each result to its proposal, and the end of each read; to the core
//	          what was applied, a view, what the machine has made durable, and that a
//	          snapshot is installed; results of forwarded proposals to the network
//	WAITS ON  the state machine; the log store where the in-memory log has no
//	          entries; the snapshot store while a snapshot is installed
//	BOUND     pending proposals by InflightProposalsMax and InflightBytesMax, reads
//	          by InflightProposalsMax; entries to apply are in the log, not here
//	DIES WITH the group; an error or a panic of the machine, and an error of a
//	          store, stop the group
type applyActor struct {
	stage.Shell
	applyNeeds
	inbox stage.Inbox[applyItem]

	applied     core.LogID
	appliedTime int64
	// undated: nothing tells the time of what was applied last.
	undated bool
	config  core.ConfigurationAt
	target  core.Index

	pending []pendingProposals
	// reads wait for their index, but for those that have ended.
	reads []readBatch
	ended endedReads
	// decided are proposals that have their result and are not answered yet.
	decided  []decidedProposal
	answered stage.Answers
	install  *core.SnapshotMeta
	view     bool
	// record, if not nil, asks for what the machine has made durable.
	record *core.BuildSnapshot
	// taken is a view that nobody has been given yet, takenFor who asked for it, nil if it
	// is for a snapshot. exports wait for views of their own.
	taken    storage.SnapshotView
	takenFor *snapshots.Export
	exports  []*snapshots.Export
	// tooOld, if not nil, is why nothing is applied any more: the next entry needs another
	// version of the machine.
	tooOld *core.VersionError
	// halted: what was cut short at the end of the group is not gone on with.
	halted bool
	// fetched was read from the store and is to be applied next.
	fetched []core.Entry
	results resultBatches

	// batch is what is being applied. What every batch calls is made once.
	batch                  applyBatch
	callApply, callApplied func()
}

// applyNeeds is what the apply actor is given.
type applyNeeds struct {
	home
	group   membership.GroupID
	machine storage.StateMachine
	// ctx ends when the group has failed or was abandoned, work as soon as it begins to
	// end.
	ctx, work context.Context
	memoryLog *memlog.Log
	store     storage.LogStore
	files     storage.SnapshotStore
	removal   *snapshots.Removal
	cluster   func() core.ClusterID
	admission *admission.Room[*Proposal]
	underWay  readRoom
	answers   *resultSender
	core      coreMail
	// readable is told what the machine has applied.
	readable *readable
	// stopCause is what waiters are told at the end.
	stopCause func() error
	// version is the machine's.
	version uint64
	// entriesMax and bytesMax bound one Apply.
	entriesMax, bytesMax int
}

// coreMail is what actors tell the core.
type coreMail interface {
	// put hands over an event, or another item of the core's inbox.
	put(item any) bool
	// noteApplied takes what the state machine has applied last.
	noteApplied(core.LogID)
	// noteMatched takes that a stream knows of more that is durable at its peer.
	noteMatched(counts bool)
}

type applyBatch struct {
	entries []core.Entry
	values  [][]byte
	err     error
	span    observe.Span
}

// applyItem is one request. The fields that are set say which.
type applyItem struct {
	upTo    core.Index
	pending pendingProposals
	read    readBatch
	forget  bool
	view    bool
	record  *core.BuildSnapshot
	install *core.SnapshotMeta
	export  *snapshots.Export
}

// pendingProposals were appended with consecutive indexes from first on.
type pendingProposals struct {
	first     core.LogID
	proposals proposalChain
}

// next takes the first one.
func (s *pendingProposals) next() (core.LogID, *Proposal) {
	id := s.first
	s.first.Index++
	return id, s.proposals.pop()
}

// readBatch is reads that wait until index is applied.
type readBatch struct {
	index core.Index
	reads readChain
	// since is when they were asked for: everything that was acknowledged before is
	// at index or below. It is 0 if nothing is known of that.
	since core.Instant
}

func newApplyActor(needs applyNeeds, applied core.LogID, appliedTime int64, config core.ConfigurationAt) *applyActor {
	a := &applyActor{applyNeeds: needs, applied: applied, appliedTime: appliedTime, config: config}
	a.Shell = a.Home.Shell("apply", a.step, a.finish)
	a.Release, a.ReleaseKind = a.closeTaken, calls.Close
	a.inbox.Wake, a.inbox.Meter = a.Wake, a.watch.Inbox(observe.ActorApply)
	a.callApply, a.callApplied = a.applyEntries, a.appliedEntries
	a.readable.applied.Store(uint64(applied.Index))
	return a
}

// What the core tells: how far to apply, the proposals that it has appended, reads
// that wait for an index, and that a view or an installation is wanted. Proposals
// come before anything can make the actor apply them, and do not wake it.
func (a *applyActor) applyUpTo(i core.Index)           { a.inbox.Put(applyItem{upTo: i}, true) }
func (a *applyActor) hold(p pendingProposals) bool     { return a.inbox.Leave(applyItem{pending: p}) }
func (a *applyActor) serve(b readBatch) bool           { return a.inbox.Put(applyItem{read: b}, true) }
func (a *applyActor) forget() bool                     { return a.inbox.Put(applyItem{forget: true}, true) }
func (a *applyActor) giveView()                        { a.inbox.Put(applyItem{view: true}, true) }
func (a *applyActor) giveRecord(of core.BuildSnapshot) { a.inbox.Put(applyItem{record: &of}, true) }
func (a *applyActor) export(e *snapshots.Export) bool {
	return a.inbox.Put(applyItem{export: e}, true)
}
func (a *applyActor) installNow(meta core.SnapshotMeta) { a.inbox.Put(applyItem{install: &meta}, true) }

func (a *applyActor) step() bool {
	for _, item := range a.inbox.Take() {
		a.accept(item)
	}
	a.serveReads()
	switch {
	case a.halted:
		return false
	case a.install != nil:
		a.restore()
	case a.record != nil:
		a.takeRecord()
	case a.view || len(a.exports) > 0:
		a.takeView()
	case len(a.fetched) > 0:
		a.apply(a.fetched)
	case a.tooOld != nil:
		a.endBehindVersion()
		return false
	case a.applied.Index < a.target && !a.fetch():
		return false
	}
	return a.hasWork()
}

func (a *applyActor) hasWork() bool {
	return a.install != nil || a.record != nil || a.view || len(a.exports) > 0 || len(a.fetched) > 0 || a.applied.Index < a.target && a.tooOld == nil
}

func (a *applyActor) accept(item applyItem) {
	a.target = max(a.target, item.upTo)
	if !item.pending.proposals.empty() {
		a.pending = append(a.pending, item.pending)
	}
	if !item.read.reads.empty() {
		a.reads = append(a.reads, item.read)
	}
	if item.forget {
		if a.underWay.letGo(1); a.ended.note() {
			a.sweepReads()
		}
	}
	a.view = a.view || item.view
	if item.record != nil {
		a.record = item.record
	}
	if item.export != nil {
		a.exports = append(a.exports, item.export)
	}
	if item.install != nil {
		a.install = item.install
	}
}

// fetch gets the next entries, from memory or from the store.
func (a *applyActor) fetch() bool {
	first := a.applied.Index + 1
	r := a.memoryLog.ReadForApply(first, a.target, a.entriesMax, a.bytesMax)
	switch {
	case r.Served:
		a.apply(r.Entries)
	case errors.Is(r.Err, core.ErrCompacted):
		return false // a snapshot was received: it will be installed
	case r.Err != nil:
		a.Fail(fmt.Errorf("actors: entry %d is to be applied, and the log does not reach so far: %w", first, r.Err))
	default:
		a.fetchFromStore(first, r.StoreLast)
	}
	return true
}

func (a *applyActor) fetchFromStore(first, last core.Index) {
	var entries []core.Entry
	var err error
	a.Do(calls.Read, func() {
		entries, err = a.store.Read(context.Background(), a.group, first, last, a.bytesMax)
	}, func() {
		switch {
		case err == nil:
			a.fetched = entries
		case errors.Is(err, storage.ErrNotFound) && first <= a.memoryLog.Purged().Index:
			// As above; the installation wakes it.
		default:
			a.Fail(fmt.Errorf("actors: entry %d is to be applied and cannot be read: %w", first, err))
		}
	})
}

// apply hands a batch to the state machine.
func (a *applyActor) apply(entries []core.Entry) {
	a.fetched = nil
	if entries[0].Index != a.applied.Index+1 {
		panic(fmt.Sprintf("entry %v is to be applied after %v", entries[0].LogID, a.applied))
	}
	if entries = a.ofVersion(entries); len(entries) == 0 {
		return
	}
	a.batch.entries, a.batch.span = entries, observe.Applying{Entries: entries}.Begin(a.watch)
	a.Do(calls.Apply, a.callApply, a.callApplied)
}

func (a *applyActor) applyEntries() {
	a.batch.values, a.batch.err = a.machine.Apply(a.ctx, a.batch.entries)
}

func (a *applyActor) appliedEntries() {
	entries, values, err, span := a.batch.entries, a.batch.values, a.batch.err, a.batch.span
	a.batch = applyBatch{}
	switch {
	case err != nil && a.ctx.Err() != nil:
		a.halted = true // it heeds its context
	case err != nil:
		a.Fail(fmt.Errorf("actors: the state machine failed to apply entries %d to %d: %w", entries[0].Index, entries[len(entries)-1].Index, err))
	case values != nil && len(values) != len(entries):
		a.Fail(fmt.Errorf("actors: the state machine returned %d results for %d entries", len(values), len(entries)))
	default:
		observe.Applied{Span: span, Entries: entries}.Tell(a.watch)
		a.wasApplied(entries, values)
	}
}

func (a *applyActor) wasApplied(entries []core.Entry, values [][]byte) {
	last := &entries[len(entries)-1]
	for i := range entries {
		if entries[i].Kind != core.EntryConfiguration {
			continue
		}
		configuration, err := membership.Decode(entries[i].Data)
		if err != nil {
			panic(fmt.Sprintf("the committed configuration %v cannot be decoded: %v", entries[i].LogID, err))
		}
		a.config = core.ConfigurationAt{LogID: entries[i].LogID, Configuration: configuration}
	}
	a.applied, a.appliedTime, a.undated = last.LogID, last.Time, false
	a.memoryLog.SetApplied(last.Index)
	a.readable.applied.Store(uint64(last.Index))
	a.settle(entries, values)
	a.serveReads()
	a.core.noteApplied(last.LogID)
}

// settle answers the proposals that the entries decide. They stand in the order of
// their terms, and within a term in the order of the log, because a leader never
// takes back an entry of its own term.
func (a *applyActor) settle(entries []core.Entry, values [][]byte) {
	for i := range entries {
		e := &entries[i]
		for len(a.pending) > 0 {
			s := &a.pending[0]
			if s.first.Term < e.Term {
				// An entry of a newer term stands at that index or below it: what
				// an older leader appended there certainly never happens.
				for !s.proposals.empty() {
					id, p := s.next()
					a.decide(p, id, nil, &core.LostError{LogID: id})
				}
				a.dropPending()
				continue
			}
			if s.first != e.LogID {
				break
			}
			id, p := s.next()
			var value []byte
			if values != nil {
				value = values[i]
			}
			a.decide(p, id, value, nil)
			if s.proposals.empty() {
				a.dropPending()
			}
			break
		}
	}
	a.answer()
}

// settleJump answers the proposals that a snapshot overtook.
func (a *applyActor) settleJump(to core.LogID) {
	for len(a.pending) > 0 && a.pending[0].first.Term <= to.Term {
		s := &a.pending[0]
		for !s.proposals.empty() {
			var err error = &core.LostError{LogID: s.first}
			if s.first.Index <= to.Index {
				err = &core.UnknownOutcomeError{Cause: errOvertaken}
			} else if s.first.Term == to.Term {
				break
			}
			id, p := s.next()
			a.decide(p, id, nil, err)
		}
		if !s.proposals.empty() {
			break
		}
		a.dropPending()
	}
	a.answer()
}

var errOvertaken = errors.New("a snapshot took the place of the entry before it was applied here")

func (a *applyActor) dropPending() {
	last := copy(a.pending, a.pending[1:])
	a.pending[last] = pendingProposals{}
	a.pending = a.pending[:last]
}

// decidedProposal is one with its result.
type decidedProposal struct {
	p     *Proposal
	id    core.LogID
	value []byte
	err   error
}

func (a *applyActor) decide(p *Proposal, id core.LogID, value []byte, err error) {
	a.decided = append(a.decided, decidedProposal{p, id, value, err})
}

// answer answers the proposals that are decided. Their room is returned first, at
// once for all: whoever is answered may propose again from within.
func (a *applyActor) answer() {
	bytes := 0
	for i := range a.decided {
		bytes += a.decided[i].p.room.Bytes()
	}
	a.admission.Release(len(a.decided), bytes)
	for i := range a.decided {
		e := &a.decided[i]
		if !e.p.isRemote() {
			e.p.finishWith(&a.answered, stageApply, e.id, e.value, e.err)
		} else if e.p.stage.CompareAndSwap(stageApply, stageDone) {
			a.results.add(e.p, e.id, e.value, e.err)
		}
	}
	clear(a.decided)
	a.decided = a.decided[:0]
	a.answered.Give()
	a.results.send(a.answers)
}

// serveReads completes the reads whose index is applied.
func (a *applyActor) serveReads() {
	kept, done := a.reads[:0], 0
	for _, b := range a.reads {
		if b.index > a.applied.Index {
			kept = append(kept, b)
			continue
		}
		if b.since != 0 {
			a.readable.isCurrent(b.since)
			observe.ReadsServed{Since: b.since}.Tell(a.watch)
		}
		for r := b.reads.pop(); r != nil; r = b.reads.pop() {
			if r.finishWith(&a.answered, stageApply, b.index) {
				done++
			}
		}
	}
	a.underWay.letGo(done)
	a.answered.Give()
	clear(a.reads[len(kept):])
	a.reads = kept
}

// sweepReads lets go of the reads that were cancelled.
func (a *applyActor) sweepReads() {
	all := 0
	kept := a.reads[:0]
	for _, b := range a.reads {
		if left := b.reads.sweep(); left > 0 {
			kept = append(kept, b)
			all += left
		}
	}
	clear(a.reads[len(kept):])
	a.reads = kept
	a.ended.swept(all)
}

// restore replaces the machine's state by a stored snapshot (rule 24).
func (a *applyActor) restore() {
	meta := *a.install
	a.install = nil
	var err error
	// Meanwhile the machine may be neither what it was nor what it will be.
	a.readable.applied.Store(0)
	span := observe.Restoring{Meta: &meta}.Begin(a.watch)
	a.Do(calls.Restore, func() { err = a.readSnapshot(meta) }, func() {
		observe.Restored{Span: span, Meta: &meta, Err: err}.Tell(a.watch)
		switch {
		case err != nil && a.work.Err() != nil:
			a.halted = true // the next start goes on from the stored snapshot (rule 24)
			return
		case err != nil:
			a.Fail(fmt.Errorf("actors: the snapshot %v could not be restored: %w", meta.LogID, err))
			return
		}
		a.applied, a.appliedTime, a.undated, a.config = meta.LogID, meta.Time, false, meta.Configuration
		a.target = max(a.target, meta.Index)
		a.fetched = nil
		a.memoryLog.SetApplied(meta.Index)
		a.readable.applied.Store(uint64(meta.Index))
		a.settleJump(meta.LogID)
		a.serveReads()
		a.core.put(&core.SnapshotInstalled{LogID: meta.LogID})
	})
}

// readSnapshot restores the machine from a stored snapshot. It is read to its end before,
// which verifies its checksum: a machine may replace its state with the first bytes, and
// what it had is still good when these turn out to be rotten.
func (a *applyActor) readSnapshot(meta core.SnapshotMeta) error {
	if err := a.withSnapshot(meta, readToTheEnd); err != nil {
		return err
	}
	err := a.withSnapshot(meta, func(content io.Reader) error {
		if err := a.machine.Restore(a.work, content); err != nil {
			return err
		}
		return readToTheEnd(content)
	})
	if err != nil {
		return err
	}
	a.removal.Below(a.work, meta.Index)
	return nil
}

func readToTheEnd(content io.Reader) error {
	_, err := io.Copy(io.Discard, content)
	return err
}

// withSnapshot opens a stored snapshot for one reading.
func (a *applyActor) withSnapshot(meta core.SnapshotMeta, read func(content io.Reader) error) error {
	r, err := a.files.Open(a.work, a.group, meta.LogID)
	if err != nil {
		return err
	}
	err = read(snapshots.EndingReader(a.work, r))
	if closed := r.Close(); err == nil {
		err = closed
	}
	return err
}

// finish answers whoever still waits: what was appended here may yet happen.
func (a *applyActor) finish() {
	a.readable.applied.Store(0)
	for _, item := range a.inbox.Close() {
		a.acceptLast(item)
	}
	cause := a.stopCause()
	for _, s := range a.pending {
		for !s.proposals.empty() {
			id, p := s.next()
			a.decide(p, id, nil, &core.UnknownOutcomeError{Cause: cause})
		}
	}
	a.pending = nil
	for _, b := range a.reads {
		for r := b.reads.pop(); r != nil; r = b.reads.pop() {
			a.underWay.finish(r, stageApply, 0, cause)
		}
	}
	a.reads = nil
	for _, e := range a.exports {
		e.Ended(cause)
	}
	a.exports = nil
	a.answer()
}

func (a *applyActor) acceptLast(item applyItem) {
	if !item.pending.proposals.empty() {
		a.pending = append(a.pending, item.pending)
	}
	if !item.read.reads.empty() {
		a.reads = append(a.reads, item.read)
	}
	if item.forget {
		a.underWay.letGo(1)
	}
	if item.export != nil {
		a.exports = append(a.exports, item.export)
	}
}
