package observe

import "github.com/trouperaft/troupe/core"

// received begins what a message of another node asks for, before the core has it.
func (t *traces) received(message core.Message) {
	switch m := message.(type) {
	case *core.AppendEntries:
		t.receivedAppend(m)
	case *core.VoteRequest:
		t.voteAsked(m)
	case *core.VoteResponse:
		t.voted(m)
	case *core.ReadIndexRequest:
		t.indexAsked(m)
	case *core.HeartbeatResponse:
		t.heard(m)
	}
}

// stepped ends what the engine neither answers nor will.
func (t *traces) stepped(s *Stepped) {
	switch m := s.Message.(type) {
	case *core.AppendEntries:
		t.appendStepped(m)
	case *core.VoteRequest:
		t.voteStepped(m)
	case *core.ReadIndexRequest:
		t.indexStepped(m, s.Leads)
	}
}

// sending puts the contexts of what is under way beside a message, or ends what
// the message answers.
func (t *traces) sending(s *Sending) {
	switch m := s.Message.(type) {
	case *core.AppendEntries:
		t.sendingEntries(m)
	case *core.VoteRequest:
		t.askingVote(m)
	case *core.VoteResponse:
		t.answeringVote(m, s.Waits, s.Last)
	case *core.ReadIndexRequest:
		t.askingIndex(m, s.Read)
	case *core.TransferRequest:
		t.askingTransfer(m)
	case *core.ChangeRequest:
		t.askingChange(m)
	case *core.TimeoutNow:
		t.tellingToCampaign(m)
	case *core.ReadIndexResponse:
		t.answeringIndex(m)
	case *core.Refusal:
		t.refusing(m.To)
	case *core.Heartbeat:
		t.beating(m)
	}
}
