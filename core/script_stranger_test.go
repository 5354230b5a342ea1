package core

import (
	"fmt"
	"strings"
)

// scriptStranger lets somebody speak who has proved nothing: under the identity of
// a member if there is one of that id, and with all the numbers right.
func (w *world) scriptStranger(a scriptArgs) error {
	from, to, ok := strings.Cut(a.words[0], "->")
	if !ok || len(a.words) != 2 {
		return fmt.Errorf("want a link and a kind of message")
	}
	n, id := w.nodes[NodeID(scriptNumber(to))], Identity{ID: NodeID(scriptNumber(from)), Incarnation: 0x99}
	if member := w.nodes[id.ID]; member != nil {
		id = member.id
	}
	m := unproved(n.engine, id, a.words[1])
	if m == nil {
		return fmt.Errorf("no kind of message: %s", a.words[1])
	}
	*m.Head() = Header{Group: n.cfg.Group, From: id, To: n.id, Term: Term(scriptNumber(a.keys["term"]))}
	w.printf("%d->%d unproved: %s", id.ID, n.id.ID, printMessage(m))
	n.receive(m)
	return nil
}

// unproved returns a message that would count if it came from who it says.
func unproved(e *Engine, from Identity, kind string) Message {
	last := e.log.last
	next := LogID{max(last.Term, 1), last.Index + 1}
	var stream uint64
	if p := e.leaderState.peer(from); p != nil {
		stream = p.stream
	}
	switch kind {
	case "heartbeat":
		return &Heartbeat{Round: 9, Stream: 1, Commit: next.Index}
	case "append":
		return &AppendEntries{Stream: 1, Prev: last, Entries: commands(next), Commit: next.Index}
	case "snapshot":
		return &SnapshotChunk{Stream: 1, Transfer: 1, Meta: rigSnapshot(LogID{next.Term, 99}), Done: true}
	case "vote-request":
		return &VoteRequest{ElectionTerm: e.hard.Term + 1, Campaign: 1, Last: next}
	case "pre-vote-request":
		return &VoteRequest{Pre: true, ElectionTerm: e.hard.Term + 1, Campaign: 1, Last: next}
	case "vote-answer":
		return &VoteResponse{ElectionTerm: e.hard.Term, Campaign: e.election.campaign, Granted: true}
	case "pre-vote-answer":
		return &VoteResponse{Pre: true, ElectionTerm: e.hard.Term + 1, Campaign: e.election.campaign, Granted: true}
	case "heartbeat-answer":
		return &HeartbeatResponse{Round: e.leaderState.round, Stream: stream, PromiseMillis: 1000, Match: last.Index, Applied: last.Index}
	case "append-answer":
		return &AppendResponse{Stream: stream, Success: true, Match: last.Index}
	case "snapshot-answer":
		return &SnapshotResponse{Stream: stream, Transfer: 1, Offset: 1}
	case "read-request":
		return &ReadIndexRequest{ID: 1}
	case "read-answer":
		return &ReadIndexResponse{ID: e.reads.nextWireID, OK: true, Index: last.Index}
	case "identify":
		return &IdentifyRequest{ID: 1}
	case "refusal":
		return &Refusal{Reason: RefusedIncarnation, Known: Identity{ID: from.ID, Incarnation: 0x98}}
	}
	return nil
}
