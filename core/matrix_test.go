package core

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"time"
)

// TestMatrix steps an engine in each role through each event and compares all
// commands with testdata/matrix.golden, which is to be read: it says for each role
// and event exactly what is done. Each case begins anew. The log is 1.1 (the
// configuration), 1.2, 2.3; commit is 2; the term is 4.
func TestMatrix(t *testing.T) {
	const path = "testdata/matrix.golden"
	var got bytes.Buffer
	for _, role := range matrixRoles {
		fmt.Fprintf(&got, "== %s ==\n", role.name)
		for _, event := range matrixEvents {
			r := role.make(t)
			fmt.Fprintf(&got, "\n%s\n", event.name)
			for _, line := range event.play(r) {
				fmt.Fprintf(&got, "    %s\n", line)
			}
		}
		got.WriteString("\n")
	}
	if *rewrite {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	compareScripts(t, path, string(want), got.String())
}

var matrixLog = rigOptions{terms: []Term{1, 2}, commit: 2, applied: 2}

func matrixRig(t *testing.T, term Term, learner bool) *rig {
	o := matrixLog
	o.term, o.learner = term, learner
	return newRig(t, o)
}

var matrixRoles = []struct {
	name string
	make func(t *testing.T) *rig
}{
	{"follower of node 2", func(t *testing.T) *rig { return matrixRig(t, 4, false).follow(4) }},
	{"follower that knows no leader", func(t *testing.T) *rig { return matrixRig(t, 4, false) }},
	{"pre-candidate", func(t *testing.T) *rig { return matrixRig(t, 4, false).preCampaign() }},
	{"candidate", func(t *testing.T) *rig { return matrixRig(t, 3, false).campaign() }},
	{"leader", func(t *testing.T) *rig { return matrixRig(t, 3, false).lead() }},
	{"learner of node 2", func(t *testing.T) *rig { return matrixRig(t, 4, true).follow(4) }},
	{"empty node", func(t *testing.T) *rig { return newRigOf(t, State{}, nil) }},
}

var matrixEvents = []struct {
	name string
	play func(r *rig) []string
}{
	{"pre-vote request for T5, log up to date", func(r *rig) []string {
		return r.from(3, 4, &VoteRequest{Pre: true, ElectionTerm: 5, Campaign: 7, Last: LogID{4, 9}})
	}},
	{"pre-vote request for T5, log behind", func(r *rig) []string {
		return r.from(3, 4, &VoteRequest{Pre: true, ElectionTerm: 5, Campaign: 7, Last: LogID{1, 9}})
	}},
	{"pre-vote request for T4", func(r *rig) []string {
		return r.from(3, 3, &VoteRequest{Pre: true, ElectionTerm: 4, Campaign: 7, Last: LogID{4, 9}})
	}},
	{"vote request for T5, log up to date", func(r *rig) []string {
		return r.from(3, 5, &VoteRequest{ElectionTerm: 5, Campaign: 7, Last: LogID{4, 9}})
	}},
	{"vote request for T5, log behind", func(r *rig) []string {
		return r.from(3, 5, &VoteRequest{ElectionTerm: 5, Campaign: 7, Last: LogID{1, 9}})
	}},
	{"vote request for T4, log up to date", func(r *rig) []string {
		return r.from(3, 4, &VoteRequest{ElectionTerm: 4, Campaign: 7, Last: LogID{4, 9}})
	}},
	{"vote request for T3", func(r *rig) []string {
		return r.from(3, 3, &VoteRequest{ElectionTerm: 3, Campaign: 7, Last: LogID{4, 9}})
	}},
	{"pre-vote for T5 granted", func(r *rig) []string {
		return r.from(3, 4, &VoteResponse{Pre: true, ElectionTerm: 5, Campaign: r.e.election.campaign, Granted: true})
	}},
	{"pre-vote for T5 refused by a node in T6", func(r *rig) []string {
		return r.from(3, 6, &VoteResponse{Pre: true, ElectionTerm: 5, Campaign: r.e.election.campaign})
	}},
	{"vote for T4 granted", func(r *rig) []string {
		return r.from(3, 4, &VoteResponse{ElectionTerm: 4, Campaign: r.e.election.campaign, Granted: true})
	}},
	{"vote for T4 granted, of another campaign", func(r *rig) []string {
		return r.from(3, 4, &VoteResponse{ElectionTerm: 4, Campaign: r.e.election.campaign - 1, Granted: true})
	}},
	{"vote for T4 refused", func(r *rig) []string {
		return r.from(3, 4, &VoteResponse{ElectionTerm: 4, Campaign: r.e.election.campaign})
	}},
	{"heartbeat of T3", func(r *rig) []string { return r.from(3, 3, &Heartbeat{Round: 8, Stream: 1, Commit: 3}) }},
	{"heartbeat of T4", func(r *rig) []string { return r.from(2, 4, &Heartbeat{Round: 8, Stream: 1, Commit: 3}) }},
	{"heartbeat of T5", func(r *rig) []string { return r.from(3, 5, &Heartbeat{Round: 8, Stream: 1, Commit: 3}) }},
	{"heartbeat answered in T4", func(r *rig) []string {
		return r.from(2, 4, &HeartbeatResponse{Round: r.e.leaderState.round, Stream: 1, Match: 3, PromiseMillis: 1000})
	}},
	{"heartbeat answered in T5", func(r *rig) []string { return r.from(2, 5, &HeartbeatResponse{Round: 1, Stream: 1}) }},
	{"append of T3", func(r *rig) []string { return r.from(3, 3, &AppendEntries{Stream: 1, Prev: LogID{2, 3}}) }},
	{"append of T4 that continues the log", func(r *rig) []string {
		return r.from(2, 4, &AppendEntries{Stream: 1, Prev: LogID{2, 3}, Entries: commands(LogID{4, 4}), Commit: 4})
	}},
	{"append of T4 that is held already", func(r *rig) []string {
		return r.from(2, 4, &AppendEntries{Stream: 1, Prev: LogID{1, 2}, Entries: commands(LogID{2, 3}), Commit: 2})
	}},
	{"append of T4 that conflicts", func(r *rig) []string {
		return r.from(2, 4, &AppendEntries{Stream: 1, Prev: LogID{1, 2}, Entries: commands(LogID{3, 3}), Commit: 2})
	}},
	{"append of T4 behind a gap", func(r *rig) []string {
		return r.from(2, 4, &AppendEntries{Stream: 1, Prev: LogID{4, 9}, Commit: 9})
	}},
	{"append of T5", func(r *rig) []string { return r.from(3, 5, &AppendEntries{Stream: 1, Prev: LogID{2, 3}}) }},
	{"append of T4 that introduces to the cluster", func(r *rig) []string { return r.step(r.introduction(2, 4)) }},
	{"snapshot of 3.9 in T4", func(r *rig) []string {
		return r.from(2, 4, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: rigSnapshot(LogID{3, 9}), Done: true})
	}},
	{"snapshot of 3.2 in T4", func(r *rig) []string {
		return r.from(2, 4, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: rigSnapshot(LogID{3, 2}), Done: true})
	}},
	{"snapshot of T3", func(r *rig) []string {
		return r.from(3, 3, &SnapshotChunk{Stream: 1, Transfer: 1, Meta: rigSnapshot(LogID{3, 9}), Done: true})
	}},
	{"proposal", func(r *rig) []string {
		p := r.propose("x")
		lines := r.lines()
		if p.Err != nil {
			lines = append(lines, "error: "+p.Err.Error())
		}
		return lines
	}},
	{"read", func(r *rig) []string { return r.step(&ReadRequest{ID: 1}) }},
	{"read index asked by node 3", func(r *rig) []string { return r.from(3, r.e.hard.Term, &ReadIndexRequest{ID: 9}) }},
	{"asked to campaign", func(r *rig) []string { return r.step(&Elect{1}) }},
	{"asked to pause elections", func(r *rig) []string { return r.step(&PauseElections{true}) }},
	{"asked to transfer to node 3", func(r *rig) []string { return r.step(&TransferLeadership{ID: 1, To: 3}) }},
	{"asked by node 2 to transfer to node 3", func(r *rig) []string { return r.from(2, r.e.hard.Term, &TransferRequest{ID: 9, Target: 3}) }},
	{"told by node 2 to campaign in T4", func(r *rig) []string { return r.from(2, 4, &TimeoutNow{Transfer: 9}) }},
	{"told by node 2 to campaign in T5", func(r *rig) []string { return r.from(2, 5, &TimeoutNow{Transfer: 9}) }},
	{"vote request for T5, for a transfer", func(r *rig) []string {
		return r.from(3, 5, &VoteRequest{ElectionTerm: 5, Campaign: 7, Last: LogID{4, 9}, Transfer: true})
	}},
	{"election timer", func(r *rig) []string { return matrixTimer(r, TimerElection) }},
	{"heartbeat timer", func(r *rig) []string { return matrixTimer(r, TimerHeartbeat) }},
	{"higher term of a member", func(r *rig) []string { return r.step(&HigherTerm{rigPeers[2], 9}) }},
	{"higher term of a stranger", func(r *rig) []string { return r.step(&HigherTerm{Identity{ID: 3, Incarnation: 1}, 9}) }},
	{"a peer's match", func(r *rig) []string { return r.step(&Matched{rigPeers[2], 2, r.e.log.last.Index}) }},
	{"a peer needs a snapshot", func(r *rig) []string { return r.step(&SnapshotNeeded{Peer: rigPeers[2], Stream: 2}) }},
	{"the store is busy", func(r *rig) []string { return r.step(&StoreBusy{Since: r.now.Add(-time.Hour)}) }},
	{"the bulk connection to node 2 breaks", func(r *rig) []string { return r.step(&PeerDown{Node: 2, Class: ClassBulk}) }},
	{"who are you?", func(r *rig) []string { return r.from(2, 0, &IdentifyRequest{ID: 1}) }},
	{"a message for another incarnation", func(r *rig) []string {
		m := r.address(2, 4, &Heartbeat{Round: 1})
		m.Head().To.Incarnation = 1
		return r.step(m)
	}},
	{"a message of another cluster", func(r *rig) []string {
		m := r.address(2, 4, &Heartbeat{Round: 1})
		m.Head().Cluster = clusterID(0xee)
		return r.step(m)
	}},
}

func matrixTimer(r *rig, timer Timer) []string {
	d := &r.e.electionTimer
	if timer == TimerHeartbeat {
		d = &r.e.heartbeatTimer
	}
	if d.armed == 0 {
		return []string{"not armed"}
	}
	return r.fire(timer)
}
