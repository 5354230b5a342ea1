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
	if err := s.raft.TransferLeadership(r.Context(), troupe.NodeID(to.To)); err != nil {
		return err
	}
	return s.leadership(w)
}

func (s *Server) elect(w http.ResponseWriter, r *http.Request) error {
	if err := s.raft.Elect(r.Context()); err != nil {
		return err
	}
	return s.leadership(w)
}

func (s *Server) leadership(w http.ResponseWriter) error {
	status := s.raft.Status()
	s.answer(w, http.StatusOK, api.Leadership{Leader: uint64(status.Leader), Term: uint64(status.Term)})
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
