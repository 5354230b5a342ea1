package actors

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// boundOf says by what a queue is bounded, and by how many bytes in a group of a
// configuration. Bounds count what a queue keeps alive; where two queues share it, both
// count it.
type boundOf struct {
	by    string
	bytes func(c *GroupConfig) int
}

// itemBytes is above the size of any item that carries nothing else.
const itemBytes = 1 << 10

// The bounds.
var (
	// A proposal is in one place at a time, with its command and its result.
	byProposals = boundOf{"admission", func(c *GroupConfig) int { return c.InflightBytesMax + c.InflightProposalsMax*itemBytes }}
	// Whoever waits for room holds his own command.
	byReads     = boundOf{"the room for reads", func(c *GroupConfig) int { return c.InflightProposalsMax * readBytes }}
	byUnsent    = boundOf{"what is kept of results", func(c *GroupConfig) int { return c.WindowBytesMax }}
	byApply     = boundOf{"one Apply", func(c *GroupConfig) int { return c.ApplyBatchBytesMax + c.CommandBytesMax }}
	byLog       = boundOf{"the in-memory log, or what is not durable", func(c *GroupConfig) int { return 2*c.LogCacheBytesMax + c.UncommittedBytesMax }}
	byWindows   = boundOf{"the windows of streams", func(c *GroupConfig) int { return c.WindowBytesMax * membership.MembersMax }}
	byPieces    = boundOf{"the window of a transfer", func(c *GroupConfig) int { return 6<<20 + 2*c.SnapshotChunkBytes + 256*itemBytes }}
	byParts     = boundOf{"the parts that a receiver may name", func(*GroupConfig) int { return core.HadMax * 16 }}
	byMembers   = boundOf{"one for each member", func(*GroupConfig) int { return membership.MembersMax * 2 * itemBytes }}
	byGroups    = boundOf{"one for each group of the node", func(*GroupConfig) int { return itemBytes }}
	byCallers   = boundOf{"one for each caller that waits, who lets go when he leaves", func(*GroupConfig) int { return itemBytes }}
	byActors    = boundOf{"one for each actor", func(*GroupConfig) int { return membership.MembersMax * 4 * itemBytes }}
	byFew       = boundOf{"a few", func(*GroupConfig) int { return 16 * itemBytes }}
	byTraces    = boundOf{"a cap of traces, spans or marks", func(*GroupConfig) int { return 1 << 12 * itemBytes }}
	byObservers = boundOf{"the length of an observer's queue", func(*GroupConfig) int { return 1 << 14 * itemBytes }}
)

// queueBounds are all queues, and what else may grow: each field of a type that a node
// or a group leads to.
var queueBounds = map[string]boundOf{
	"actors.Node.inflight": byMembers, "actors.Node.lived": byGroups, "actors.Node.starting": byGroups,
	"actors.Node.unreachable": byMembers, "actors.Node.reached": byMembers, "actors.Node.waiting": byCallers, "actors.holds.by": byGroups, "actors.Proposal.Data": byProposals, "actors.Proposal.Value": byProposals,
	"actors.Transfer.Not": byMembers, "actors.applyActor.decided": byProposals, "actors.applyActor.fetched": byApply,
	"actors.applyActor.inbox": byProposals, "actors.applyActor.pending": byProposals, "actors.applyActor.reads": byReads,
	"actors.applyBatch.entries": byApply, "actors.applyBatch.values": byApply, "actors.askedReads.reads": byReads,
	"actors.bootstrapRequest.members": byCallers, "actors.changeRequests.ended": byCallers, "actors.changeRequests.waiting": byCallers, "actors.coreActor.bootstraps": byCallers, "actors.coreActor.burst": byProposals,
	"actors.coreActor.due": byFew, "actors.coreActor.views": byFew, "actors.coreActor.told": byMembers, "actors.applyActor.exports": byFew, "snapshots.Jobs.exporters": byFew, "actors.coreInbox.Inbox": byProposals, "actors.decidedProposal.value": byProposals,
	"actors.groupTable.byID": byGroups, "actors.groupTable.ordered": byGroups, "actors.leadershipRequests.elects": byCallers,
	"actors.leadershipRequests.ended": byCallers, "actors.leadershipRequests.pauses": byCallers, "actors.leadershipRequests.transfers": byCallers,
	"actors.maintenance.ended": byCallers, "actors.maintenance.purges": byFew, "actors.maintenance.snapshots": byFew,
	"actors.life.done": byFew, "actors.life.shells": byActors, "actors.life.waiting": byCallers, "actors.listeners.all": byCallers,
	"actors.outbox.placed": byMembers, "actors.outbox.refused": byMembers, "actors.pendingProposals.proposals": byProposals, "actors.proposalsInCore.batch": byProposals,
	"actors.proposalsInCore.byID": byProposals, "actors.proposalsInCore.forwarded": byProposals, "actors.proposalsInCore.queued": byProposals, "actors.proposalsInCore.waiting": byProposals,
	"actors.readBatch.reads": byReads, "actors.readsInCore.asked": byReads, "actors.readsInCore.asking": byReads, "actors.readsInCore.byLease": byReads,
	"actors.readsInCore.waiting": byReads, "actors.resultBatch.results": byProposals, "actors.resultBatches.batches": byMembers,
	"actors.streamInbox.Inbox": byWindows, "actors.replicationActor.events": byWindows, "actors.streams.running": byMembers, "actors.unsentResults.list": byUnsent,
	"actors.unsentResults.refused": byMembers,
	"admission.Room.starving":      byGroups, "admission.Room.waiters": byCallers,
	"disk.GroupLog.queue": byLog, "disk.GroupLog.then": byMembers, "disk.LogActor.active": byGroups, "disk.LogActor.inbox": byLog, "disk.LogActor.logs": byGroups,
	"disk.LogActor.order": byGroups, "disk.LogActor.round": byGroups, "disk.Promises.writer": byFew, "disk.keeperInbox.Inbox": byMembers,
	"disk.keeperNotes.peers":   byMembers,
	"memlog.AppendTimes.marks": byTraces, "memlog.Log.chunks": byLog, "memlog.Log.unflushed": byLog,
	"observe.Node.groups": byGroups, "observe.observer.inbox": byObservers, "observe.stageMarks.marks": byTraces, "observe.streamMeter.sentAt": byTraces,
	"observe.tracedConfirm.heard": byTraces, "observe.tracedEntry.replicates": byTraces, "observe.traces.confirms": byTraces,
	"observe.traces.entries": byTraces, "observe.traces.peers": byMembers, "observe.traces.proposals": byTraces, "observe.traces.rares": byTraces,
	"observe.traces.readIndexes": byTraces, "observe.traces.reads": byTraces, "observe.traces.votes": byTraces,
	"snapshots.Gate.active": byMembers, "snapshots.Gate.waiting": byMembers, "snapshots.Jobs.senders": byMembers, "snapshots.Jobs.troubles": byMembers, "snapshots.Removal.kept": byFew, "snapshots.piece.data": byPieces,
	"snapshots.receiver.inbox": byPieces, "snapshots.receiver.queue": byPieces, "snapshots.sender.inbox": byPieces, "snapshots.sender.inflight": byPieces, "snapshots.sender.spare": byPieces,
	"snapshots.receiver.had": byParts, "snapshots.sender.had": byParts,
	"stage.Answer.token": byFew, "stage.Answers.list": byProposals, "stage.mailbox.lifecycle": byFew,
}

// TestQueuesAreBounded walks all that may grow in a node and its groups, and asserts that
// each has a bound in bytes, which its configuration gives. That the bounds hold is for
// the tests of those who keep them.
func TestQueuesAreBounded(t *testing.T) {
	found := queuesOf(reflect.TypeFor[Node](), reflect.TypeFor[Group](), reflect.TypeFor[applyItem](), reflect.TypeFor[decidedProposal]())
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, listed := queueBounds[name]; !listed {
			t.Errorf("%s may grow, and nothing says by what it is bounded", name)
		}
	}
	c := groupConfig(1, nil)
	for _, name := range slices.Sorted(maps.Keys(queueBounds)) {
		if !found[name] {
			t.Errorf("%s has a bound, and is not there", name)
		}
		if b := queueBounds[name]; b.bytes(&c) <= 0 || b.bytes(&c) > 8<<30 {
			t.Errorf("%s is bounded by %s: %d bytes", name, b.by, b.bytes(&c))
		}
	}
}

// queuesOf finds every field of the types that some lead to, in the packages of the
// actors, that may grow: slices, maps, channels, inboxes and lists.
func queuesOf(roots ...reflect.Type) map[string]bool {
	found, seen := make(map[string]bool), make(map[reflect.Type]bool)
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
			walk(t.Elem())
			return
		case reflect.Map:
			walk(t.Key())
			walk(t.Elem())
			return
		case reflect.Struct:
		default:
			return
		}
		if seen[t] || !strings.Contains(t.PkgPath(), "/troupe/actors") && t.PkgPath() != "sync/atomic" {
			return
		}
		seen[t] = true
		for i := range t.NumField() {
			f := t.Field(i)
			if name, _, _ := strings.Cut(t.String(), "["); mayGrow(f.Type) && !isQueue(t) {
				found[name+"."+f.Name] = true
			}
			walk(f.Type)
		}
	}
	for _, root := range roots {
		walk(root)
	}
	return found
}

// mayGrow reports whether a field of the type may grow.
func mayGrow(t reflect.Type) bool {
	if isQueue(t) || t == reflect.TypeFor[sync.Map]() {
		return true
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Map, reflect.Chan:
		return true
	}
	return false
}

// isQueue reports whether a type is a queue by itself, whose fields say nothing more.
func isQueue(t reflect.Type) bool {
	name, _, _ := strings.Cut(t.String(), "[")
	return slices.Contains([]string{"stage.Inbox", "admission.line", "actors.proposalList", "actors.proposalChain", "actors.readChain"}, name)
}
