package server

import (
	"net/http"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// transferBytesMax bounds the body of a transfer, written generously.
const transferBytesMax = 1024

func (s *Server) transfer(w http.ResponseWriter, r *http.Request) error {
	var to api.Transfer
	if r.ContentLength != 0 { // without a body it is the best
		if err := decode(w, r, transferBytesMax, &to); err != nil {
			return err
		}
	}
	before := s.raft.Status().Term
	if err := s.raft.TransferLeadership(r.Context(), troupe.NodeID(to.To)); err != nil {
		return err
	}
	status := s.raft.Status()
	if status.Term <= before {
		status.Leader = 0 // the one of before is not it: this node has not heard of the next
	}
	return s.leadership(w, status)
}

func (s *Server) elect(w http.ResponseWriter, r *http.Request) error {
	if err := s.raft.Elect(r.Context()); err != nil {
		return err
	}
	return s.leadership(w, s.raft.Status())
}

func (s *Server) leadership(w http.ResponseWriter, status troupe.Status) error {
	s.answer(w, http.StatusOK, api.Leadership{Leader: uint64(status.Leader), Term: uint64(status.Term)})
	return nil
}

// electionsBytesMax bounds the body of a pause, written generously.
const electionsBytesMax = 256

func (s *Server) elections(w http.ResponseWriter, _ *http.Request) error {
	s.answer(w, http.StatusOK, api.Elections{Paused: new(s.raft.Status().ElectionsPaused)})
	return nil
}

func (s *Server) pauseElections(w http.ResponseWriter, r *http.Request) error {
	var wanted api.Elections
	if err := decode(w, r, electionsBytesMax, &wanted); err != nil {
		return err
	}
	if wanted.Paused == nil {
		return badRequest("paused is missing: true or false")
	}
	if err := s.raft.PauseElections(r.Context(), *wanted.Paused); err != nil {
		return err
	}
	s.answer(w, http.StatusOK, wanted)
	return nil
}

// transferReasons and electReasons are words for why.
var transferReasons = map[troupe.TransferReason]string{
	troupe.TransferUnknownMember: "unknown_member",
	troupe.TransferLearner:       "learner",
	troupe.TransferOutgoing:      "outgoing",
	troupe.TransferToItself:      "to_itself",
	troupe.TransferNoTarget:      "no_target",
	troupe.TransferLagging:       "lagging",
	troupe.TransferUnreachable:   "unreachable",
	troupe.TransferPaused:        "paused",
	troupe.TransferInstalling:    "installing",
	troupe.TransferSick:          "sick",
	troupe.TransferRefused:       "refused",
	troupe.TransferUnderWay:      "under_way",
	troupe.TransferTimedOut:      "timed_out",
	troupe.TransferAnotherWon:    "another_won",
	troupe.TransferHigherTerm:    "higher_term",
	troupe.TransferSteppedDown:   "stepped_down",
	troupe.TransferStopped:       "stopped",
}

var electReasons = map[troupe.ElectRefusal]string{
	troupe.ElectNotVoter:    "not_voter",
	troupe.ElectUnderLeader: "under_leader",
	troupe.ElectPaused:      "paused",
	troupe.ElectInstalling:  "installing",
	troupe.ElectSick:        "sick",
	troupe.ElectTooFewVotes: "too_few_votes",
	troupe.ElectAnotherWon:  "another_won",
	troupe.ElectTimedOut:    "timed_out",
}
