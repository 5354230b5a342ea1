package simulation

import (
	"context"
	"fmt"
	"testing"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// scene is a quiet cluster of three voters.
type scene struct {
	*sim
	check         *checker
	configuration membership.Configuration
}

var sceneCluster = core.ClusterID{'s', 'c', 'e', 'n', 'e'}

func newScene(t *testing.T) scene {
	s := scene{sim: quiet(t)}
	s.check = s.groups[0].check
	s.check.cluster = sceneCluster
	for _, n := range s.nodes {
		n.disk.of(1).hard.Cluster = sceneCluster
		s.check.admitted[n.disk.identity] = true
		s.configuration.Members = append(s.configuration.Members, membership.Member{Identity: n.disk.identity})
		s.configuration.Voters = append(s.configuration.Voters, n.disk.identity)
	}
	return s
}

// begins lets a node that belongs to no cluster begin one by an attempt.
func (s scene) begins(n int, attempt uint64, cluster core.ClusterID) {
	h := core.HardState{Grant: core.Grant{To: s.id(n), Attempt: attempt}}
	s.write(n, storage.Operation{Group: 1, HardState: &h})
	s.write(n, storage.Operation{Group: 1, HardState: &core.HardState{Term: 1, Vote: s.id(n), Cluster: cluster}})
}

// grants lets a node that belongs to no cluster grant an attempt.
func (s scene) grants(n, to int, attempt uint64) {
	s.write(n, storage.Operation{Group: 1, HardState: &core.HardState{Grant: core.Grant{To: s.id(to), Attempt: attempt}}})
}

// unformed takes the cluster away from all.
func (s scene) unformed() {
	s.check.cluster = core.ClusterID{}
	for _, n := range s.nodes {
		n.disk.of(1).hard.Cluster = core.ClusterID{}
	}
}

func (s scene) replica(n int) *replica { return s.nodes[n-1].life.replicas[0] }

func (s scene) id(n int) membership.Identity { return s.replica(n).identity() }

func (s scene) write(n int, operations ...storage.Operation) {
	_ = s.nodes[n-1].disk.Write(context.Background(), &storage.Batch{Operations: operations})
}

func (s scene) votes(n int, term core.Term, candidate int) {
	s.write(n, storage.Operation{Group: 1, HardState: &core.HardState{Term: term, Vote: s.id(candidate), Cluster: sceneCluster}})
}

func (s scene) status(n int, role core.Role, term core.Term, committed core.Index) {
	r := s.replica(n)
	now := actors.Status{}
	now.Role, now.Term, now.Committed = role, term, committed
	now.Configuration.Configuration = s.configuration
	s.check.status(r, &r.status, &now)
	r.status = now
}

func (s scene) head(from, to int, term core.Term) core.Header {
	return core.Header{Group: 1, From: s.id(from), To: s.id(to), Term: term}
}

func (s scene) apply(n int, e core.Entry) {
	_, _ = s.replica(n).machine.Apply(context.Background(), []core.Entry{e})
}

// TestCheckersCanFail shows each checker what it has to find, and nothing else.
func TestCheckersCanFail(t *testing.T) {
	const follower, leader = core.RoleFollower, core.RoleLeader
	for rule, play := range map[string]func(scene){
		ruleElectionSafety: func(s scene) {
			s.check.sent(s.replica(1), &core.Heartbeat{Header: s.head(1, 2, 3)})
			s.check.sent(s.replica(2), &core.Heartbeat{Header: s.head(2, 1, 3)})
		},
		ruleQuorumOfVotes: func(s scene) {
			s.votes(1, 2, 1)
			s.status(1, leader, 2, 0)
		},
		ruleOneVote: func(s scene) {
			s.votes(1, 2, 1)
			s.votes(1, 2, 3)
		},
		ruleVoteDurable: func(s scene) {
			s.votes(1, 1, 3)
			s.check.sent(s.replica(1), &core.VoteResponse{Header: s.head(1, 2, 2), ElectionTerm: 2, Granted: true})
		},
		ruleEmptied: func(s scene) {
			delete(s.check.admitted, s.id(1))
			s.check.sent(s.replica(1), &core.VoteResponse{Header: s.head(1, 2, 2), Pre: true, ElectionTerm: 3, Granted: true})
		},
		ruleDenied: func(s scene) {
			s.check.noticed(s.replica(1), &core.Notice{Kind: core.NoticeLostData, Peer: s.id(2), Known: s.id(2), Index: 1})
		},
		rulePromiseHeader: func(s scene) {
			s.check.sent(s.replica(1), &core.HeartbeatResponse{Header: s.head(1, 2, 2), PromiseMillis: 100})
		},
		rulePromise: func(s scene) {
			s.nodes[0].disk.promise = 1 << 40
			s.check.sent(s.replica(1), &core.HeartbeatResponse{Header: s.head(1, 2, 2), PromiseMillis: 100})
			s.votes(1, 3, 3)
			s.check.sent(s.replica(1), &core.VoteResponse{Header: s.head(1, 3, 3), ElectionTerm: 3, Granted: true})
		},
		ruleToldByLeader: func(s scene) {
			s.check.sent(s.replica(1), &core.TimeoutNow{Header: s.head(1, 2, 2)})
		},
		ruleToldLog: func(s scene) {
			s.votes(1, 2, 1)
			s.votes(2, 2, 1)
			s.status(1, leader, 2, 0)
			s.write(1, appends(2, 1, 2))
			s.write(2, appends(2, 1, 1))
			s.check.sent(s.replica(1), &core.TimeoutNow{Header: s.head(1, 2, 2)})
		},
		ruleFlag: func(s scene) {
			s.votes(1, 3, 1)
			s.check.sent(s.replica(1), &core.VoteRequest{Header: s.head(1, 2, 3), ElectionTerm: 3, Transfer: true})
		},
		ruleFlagTerm: func(s scene) {
			s.nodes[0].disk.promise = 1 << 40
			s.check.sent(s.replica(1), &core.HeartbeatResponse{Header: s.head(1, 2, 2), PromiseMillis: 100})
			s.check.flagged[vote{s.id(3), 4}] = true
			s.votes(1, 2, 2)
			s.votes(1, 4, 3)
		},
		ruleTransferred: func(s scene) {
			s.votes(1, 2, 1)
			s.votes(2, 2, 1)
			s.status(1, leader, 2, 0)
			s.check.transferred(s.replica(3), actors.Transfer{To: 1}, actors.Handover{Leader: 1, Term: 2})
		},
		ruleTransferError: func(s scene) { s.check.notTransferred(s.replica(1), context.Canceled) },
		ruleElected: func(s scene) {
			s.check.electedByHand(s.replica(1), 2)
		},
		ruleChangeError: func(s scene) { s.check.changed(s.replica(1), &core.ChangeOrder{}, nil, storage.ErrNotFound) },
		ruleChangeAnswer: func(s scene) {
			s.check.changed(s.replica(1), &core.ChangeOrder{}, &actors.ChangeOutcome{At: core.ConfigurationAt{LogID: core.LogID{Term: 1, Index: 2}}}, nil)
		},
		ruleRemovedLeads: func(s scene) {
			s.check.configurations = []core.ConfigurationAt{{LogID: core.LogID{Term: 1, Index: 1}, Configuration: s.without(3)}}
			s.votes(1, 2, 3)
			s.votes(2, 2, 3)
			s.status(3, leader, 2, 0)
		},
		ruleTermBack: func(s scene) {
			s.votes(1, 5, 1)
			s.votes(1, 4, 1)
		},
		ruleCompleteness: func(s scene) {
			s.write(1, appends(1, 1, 2))
			s.write(2, appends(1, 1, 2))
			s.status(1, follower, 1, 2)
			s.votes(3, 2, 3)
			s.votes(2, 2, 3)
			s.status(3, leader, 2, 0)
		},
		ruleLogMatching: func(s scene) {
			s.write(1, appends(1, 1, 2))
			other := appends(1, 1, 1)
			other.Append[0].Data = []byte("x")
			s.write(2, other)
		},
		ruleLogMatchingPast: func(s scene) {
			s.write(1, appends(1, 1, 1), appends(3, 2, 2))
			s.write(2, appends(2, 1, 1), appends(3, 2, 2))
		},
		ruleLost: func(s scene) {
			s.write(1, appends(1, 1, 2))
			s.write(2, appends(1, 1, 2))
			s.status(1, follower, 1, 2)
			s.write(2, storage.Operation{Group: 1, TruncateFrom: 2})
		},
		ruleReset: func(s scene) {
			s.write(1, storage.Operation{Group: 1, Reset: core.LogID{Term: 1, Index: 3}})
		},
		rulePurge: func(s scene) {
			s.write(1, appends(1, 1, 2), storage.Operation{Group: 1, Purge: core.LogID{Term: 1, Index: 1}})
		},
		ruleRecord: func(s scene) {
			s.check.recorded(s.replica(1).store, &core.SnapshotMeta{LogID: core.LogID{Term: 1, Index: 1}})
		},
		ruleAckDurable: func(s scene) {
			s.votes(1, 2, 2)
			s.write(1, appends(1, 1, 2))
			s.check.sent(s.replica(1), &core.AppendResponse{Header: s.head(1, 2, 2), Success: true, Match: 3})
		},
		ruleCommitBack: func(s scene) {
			s.write(1, appends(1, 1, 2))
			s.write(2, appends(1, 1, 2))
			s.status(1, follower, 1, 2)
			s.status(1, follower, 1, 1)
		},
		ruleCommitQuorum: func(s scene) {
			s.write(1, appends(1, 1, 2))
			s.status(1, follower, 1, 2)
		},
		ruleCommitTerm: func(s scene) {
			s.write(1, appends(1, 1, 2))
			s.write(2, appends(1, 1, 2))
			s.votes(1, 2, 1)
			s.votes(2, 2, 1)
			s.status(1, leader, 2, 0)
			s.status(1, leader, 2, 2)
		},
		ruleMatch: func(s scene) {
			s.votes(1, 2, 1)
			s.votes(2, 2, 1)
			s.write(1, appends(1, 1, 2))
			s.write(2, appends(1, 1, 1), appends(2, 2, 2))
			now := actors.Status{}
			now.Role, now.Term = leader, 2
			now.Peers = []core.PeerStatus{{Identity: s.id(2), Match: 2}}
			s.check.sent(s.replica(2), &core.AppendResponse{Header: s.head(2, 1, 2), Success: true, Match: 2})
			s.check.matches(s.replica(1), &now)
		},
		ruleForgedAck: func(s scene) {
			s.votes(1, 2, 1)
			s.votes(2, 2, 1)
			s.write(1, appends(1, 1, 2))
			s.write(2, appends(1, 1, 2))
			now := actors.Status{}
			now.Role, now.Term = leader, 2
			now.Peers = []core.PeerStatus{{Identity: s.id(2), Match: 2}}
			s.check.matches(s.replica(1), &now)
		},
		ruleInTheClear: func(s scene) {
			m := &core.AppendEntries{Header: s.head(1, 2, 2), Stream: 1}
			m.Introduces = true
			s.votes(1, 2, 1)
			s.votes(2, 2, 1)
			s.status(1, leader, 2, 0)
			s.check.sent(s.replica(1), m)
		},
		ruleEmptyVotes: func(s scene) {
			s.unformed()
			s.check.sent(s.replica(1), &core.VoteResponse{Header: s.head(1, 2, 2), Pre: true, ElectionTerm: 3, Granted: true})
		},
		ruleCluster: func(s scene) {
			s.write(1, storage.Operation{Group: 1, HardState: &core.HardState{Cluster: core.ClusterID{1}}})
		},
		ruleTwoClusters: func(s scene) {
			s.unformed()
			s.grants(2, 1, 7)
			s.grants(3, 1, 7)
			s.begins(1, 7, core.ClusterID{1})
			s.write(2, storage.Operation{Group: 1, HardState: &core.HardState{Cluster: core.ClusterID{2}}})
		},
		ruleBegun: func(s scene) {
			s.unformed()
			s.grants(2, 1, 7)
			s.grants(3, 1, 6)
			s.begins(1, 7, core.ClusterID{1})
		},
		ruleTwoGrants: func(s scene) {
			s.unformed()
			s.check.askedFor(s.replica(2), &core.IdentifyRequest{Header: s.head(1, 2, 0), Attempt: 7, LengthMillis: 10_000})
			s.grants(2, 1, 7)
			s.grants(2, 3, 8)
		},
		ruleGrantDurable: func(s scene) {
			s.check.sent(s.replica(1), &core.IdentifyRequest{Header: s.head(1, 2, 0), Attempt: 7, LengthMillis: 1000})
			s.check.sent(s.replica(2), &core.IdentifyResponse{Header: s.head(2, 1, 0), Attempt: 7, Granted: true})
		},
		ruleMachineSafety: func(s scene) {
			s.apply(1, entry(1, 1))
			s.apply(2, entry(2, 1))
		},
		ruleMachineHash: func(s scene) {
			s.replica(2).machine.state.registers[0] = 7
			s.apply(1, entry(1, 1))
			s.apply(2, entry(1, 1))
		},
		ruleDurable: func(s scene) {
			_, _ = durableMachine{s.replica(1).machine}.Apply(context.Background(), []core.Entry{entry(1, 1)})
		},
		ruleSnapshot: func(s scene) {
			s.apply(1, entry(1, 1))
			state := s.replica(1).machine.state
			state.chain++
			s.check.restored(s.replica(2), &state, state.encode())
		},
		ruleRestoreBack: func(s scene) {
			s.apply(1, entry(1, 1))
			state := s.replica(1).machine.state
			s.apply(1, entry(1, 2))
			s.check.restored(s.replica(1), &state, state.encode())
		},
		rulePhantom: func(s scene) {
			e := entry(1, 1)
			e.Kind, e.Data = core.EntryCommand, command{operation: operationPut, id: 9}.encode(0)
			s.apply(1, e)
		},
		ruleWriteTwice: func(s scene) {
			s.check.works[9] = s.work()
			for i := range core.Index(2) {
				e := entry(1, i+1)
				e.Kind, e.Data = core.EntryCommand, command{operation: operationPut, id: 9}.encode(0)
				s.apply(1, e)
			}
		},
		ruleRefused: func(s scene) {
			w := s.work()
			s.check.works[9] = w
			s.check.failedWrite(w, &core.LostError{})
			e := entry(1, 1)
			e.Kind, e.Data = core.EntryCommand, command{operation: operationPut, id: 9}.encode(0)
			s.apply(1, e)
		},
		ruleWriteLost: func(s scene) { s.check.acknowledgedWrite(s.work(), core.LogID{Term: 1, Index: 1}, nil) },
		ruleWriteResult: func(s scene) {
			w := s.work()
			s.check.works[9] = w
			e := entry(1, 1)
			e.Kind, e.Data = core.EntryCommand, command{operation: operationPut, id: 9}.encode(0)
			s.apply(1, e)
			s.check.acknowledgedWrite(w, e.LogID, []byte("another"))
		},
		ruleStaleRead:  func(s scene) { s.readsBehind(actors.ReadLinearizable) },
		ruleStaleLease: func(s scene) { s.readsBehind(actors.ReadLease) },
		ruleTooStale: func(s scene) {
			// What was committed in time has to be there, and nothing later.
			s.check.moves = []move{{10, 2}, {20, 4}, {30, 9}}
			for at, want := range map[core.Instant]core.Index{9: 0, 10: 2, 19: 2, 20: 4, 29: 4, 30: 9, 31: 9} {
				if got := s.check.committedAt(at); got != want {
					panic(fmt.Sprintf("at %d %d was committed, not %d", at, want, got))
				}
			}
			s.readsBehind(actors.ReadStale)
		},
		ruleAtLeast: func(s scene) {
			w := s.work()
			w.read.Mode, w.read.AtLeast = actors.ReadAtLeast, 4
			s.replica(1).machine.state.applied.Index = 5
			s.check.served(w, 3)
		},
		ruleReadEarly:   func(s scene) { s.check.served(s.work(), 3) },
		ruleBadError:    func(s scene) { s.check.failedWrite(s.work(), errDiskFailed) },
		ruleGroupFailed: func(s scene) { s.check.failedWrite(s.work(), &core.FatalError{Cause: errCrashed}) },
		ruleOnce: func(s scene) {
			w := s.work()
			w.ends(nil)
			w.ends(nil)
		},
		ruleNever: func(s scene) {
			s.replica(1).work = append(s.replica(1).work, s.work())
			s.check.answeredAll(s.replica(1))
		},
		ruleDeadAnswers: func(s scene) {
			w := s.work()
			w.finished = func(*work) {}
			w.abandoned()
			w.ends(nil)
		},
	} {
		t.Run(rule, func(t *testing.T) {
			s := newScene(t)
			play(s)
			if f := s.failure; f == nil || f.Rule != rule {
				t.Errorf("found: %v", f)
			}
		})
	}
}

func (s scene) work() *work {
	return &work{client: &client{group: s.groups[0]}, replica: s.replica(1), command: command{id: 9}, read: &actors.Read{}}
}

// readsBehind serves a read at 3 where 4 was committed when it began, or as long
// before as it may be stale.
func (s scene) readsBehind(mode actors.ReadMode) {
	w := s.work()
	w.read.Mode, w.floor = mode, 4
	s.replica(1).machine.state.applied.Index = 5
	s.check.served(w, 3)
}
