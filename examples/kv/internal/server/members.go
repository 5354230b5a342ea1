package server

import (
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

func (s *Server) members(w http.ResponseWriter, _ *http.Request) error {
	s.answer(w, http.StatusOK, view(s.raft.Status()))
	return nil
}

func (s *Server) changeMembers(w http.ResponseWriter, r *http.Request) error {
	var given api.Change
	if err := decode(w, r, changeBytesMax, &given); err != nil {
		return err
	}
	changes, options, err := changesOf(&given)
	if err != nil {
		return err
	}
	var (
		steps  []troupe.Configuration
		report troupe.ChangeReport
	)
	options = append(options, troupe.ReportChange(&report))
	if given.DryRun {
		options = append(options, troupe.DryRun(&steps))
	}
	c, err := s.raft.ChangeMembers(r.Context(), changes, options...)
	if err != nil {
		return refusedChange(&given, err)
	}
	if given.DryRun {
		status := s.raft.Status()
		answer := membersOf(&c, report.Entry.Index, &status)
		for i := range steps {
			answer.Steps = append(answer.Steps, api.Step{Joint: steps[i].Joint(), Members: clusterMembers(&steps[i])})
		}
		s.answer(w, http.StatusOK, answer)
		return nil
	}
	s.answerChange(w, &c, &report)
	return nil
}

// answerChange tells what came of a change, or that it goes on.
func (s *Server) answerChange(w http.ResponseWriter, c *troupe.Configuration, report *troupe.ChangeReport) {
	status := s.raft.Status()
	answer := membersOf(c, report.Entry.Index, &status)
	if report.GoesOn {
		answer.ChangeID = c.Target.ID.String()
		s.answer(w, http.StatusAccepted, answer)
		return
	}
	// It was committed before it was answered, whether this node knows or not.
	answer.Committed = true
	s.answer(w, http.StatusOK, answer)
}

func (s *Server) cancelChange(w http.ResponseWriter, r *http.Request) error {
	if err := s.raft.CancelChange(r.Context()); err != nil {
		return err
	}
	return s.members(w, r)
}

// refusedChange says which field of a request is wrong, and tells a term that the request
// insisted on from one that changed under it.
func refusedChange(given *api.Change, err error) error {
	var wrong *troupe.ChangeError
	switch {
	case errors.As(err, &wrong):
		return &api.Error{Code: api.BadRequest, Message: wrongField(given, wrong) + ": " + err.Error(), Reason: changeReasons[wrong.Reason]}
	case given.ExpectedTerm != 0 && errors.Is(err, troupe.ErrTermChanged):
		return &api.Error{Code: api.TermChanged, Message: "expected_term: " + err.Error()}
	}
	return err
}

// view is what a node knows of the members.
func view(status troupe.Status) api.Members {
	return membersOf(&status.Configuration, status.ConfigurationAt.Index, &status)
}

// membersOf tells a configuration, which is that of the entry at index and may be newer
// than what the node has, and what the node knows of the change that is under way in it.
func membersOf(c *troupe.Configuration, index troupe.Index, status *troupe.Status) api.Members {
	m := api.Members{
		Index: uint64(index), Committed: index > 0 && index <= status.Committed, Joint: c.Joint(),
		Change:  api.ChangeState{State: api.ChangeNone, WaitsFor: []uint64{}, Progress: []api.Progress{}},
		Members: clusterMembers(c),
	}
	change := status.Change
	switch target := c.Target; {
	case target != nil && target.ID != change.ID:
		// The node has not heard of it yet, or no more.
		change = troupe.ChangeStatus{State: troupe.ChangeCatchingUp, ID: target.ID, Since: target.Since}
		if c.Joint() {
			change.State = troupe.ChangeJoint
		}
	case target == nil && index > status.ConfigurationAt.Index:
		// The change has ended, which the node has not seen yet.
		change = troupe.ChangeStatus{}
	}
	if change.State == troupe.ChangeIdle {
		return m
	}
	m.Change.State = api.ChangeCatchingUp
	if change.State == troupe.ChangeJoint {
		m.Change.State = api.ChangeJoint
	}
	if change.ID != 0 {
		m.Change.ID = change.ID.String()
	}
	m.Change.SinceMillis = change.Since / int64(time.Millisecond)
	if change.ID != status.Change.ID {
		return m
	}
	for _, w := range status.WaitsFor {
		m.Change.WaitsFor = append(m.Change.WaitsFor, uint64(w.Node))
	}
	for i := range status.Peers {
		if p := &status.Peers[i]; p.CatchingUp {
			m.Change.Progress = append(m.Change.Progress, progress(p))
		}
	}
	return m
}

func clusterMembers(c *troupe.Configuration) []api.ClusterMember {
	members := make([]api.ClusterMember, len(c.Members))
	for i, m := range c.Members {
		members[i] = api.ClusterMember{
			ID: uint64(m.ID), Incarnation: strconv.FormatUint(uint64(m.Incarnation), 16), Address: m.Address,
			Kind: c.Kind(m.Identity).String(), Priority: m.Rank(), Tags: maps.Clone(m.Tags),
			Outgoing: slices.Contains(c.Outgoing, m.Identity) && !slices.Contains(c.Voters, m.Identity),
			Standby:  m.Standby && !c.IsVoter(m.Identity),
		}
		if m.Tags == nil {
			members[i].Tags = map[string]string{}
		}
	}
	return members
}

func progress(p *troupe.PeerStatus) api.Progress {
	answer := api.Progress{
		ID: uint64(p.ID), MatchIndex: uint64(p.Match), LagEntries: p.LagEntries, LagBytes: p.CatchUpBytes,
		AgeMillis: p.CatchUpAge.Milliseconds(), IdleMillis: p.CatchUpIdle.Milliseconds(),
		SnapshotBytes: p.SnapshotBytes, SnapshotTotalBytes: p.SnapshotTotalBytes,
		Percent: p.CatchUpPercent, EntriesPerSecond: p.CatchUpRate,
	}
	if p.CatchUpLeft >= 0 {
		answer.RestMillis = new(p.CatchUpLeft.Milliseconds())
	}
	return answer
}
