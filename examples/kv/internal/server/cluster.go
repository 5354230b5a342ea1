package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/membership"
)

// initBytesMax bounds the body of an init: the largest configuration, written
// generously.
const initBytesMax = membership.MembersMax * (membership.AddressBytesMax + 128)

func (s *Server) form(w http.ResponseWriter, r *http.Request) error {
	var given api.Init
	if err := decode(w, r, initBytesMax, &given); err != nil {
		return err
	}
	if len(given.Members) == 0 || len(given.Members) > membership.MembersMax {
		return badRequest("%d members; a cluster has 1 to %d", len(given.Members), membership.MembersMax)
	}
	members := make([]troupe.Member, len(given.Members))
	for i, m := range given.Members {
		wrong := wrongAddress(m.Address)
		switch {
		case m.ID == 0:
			return badRequest("a member has id 0: ids begin at 1")
		case wrong != "":
			return badRequest("member %d: %s", m.ID, wrong)
		case m.Priority > troupe.PriorityMax:
			return badRequest("member %d: priority %d; it is %d to %d", m.ID, m.Priority, troupe.PriorityLast, troupe.PriorityMax)
		}
		members[i] = troupe.At(troupe.NodeID(m.ID), m.Address)
		members[i].Priority = m.Priority
	}
	if err := s.raft.Bootstrap(r.Context(), members...); err != nil {
		return err
	}
	s.answer(w, http.StatusOK, given)
	return nil
}

// wrongAddress says why nobody can have an address, or "". A name need not resolve yet.
func wrongAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Sprintf("%q is not HOST:PORT", address)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	ip, _ := netip.ParseAddr(host)
	if host == "" || err != nil || n == 0 || ip.Unmap().WithZone("").IsUnspecified() || len(address) > membership.AddressBytesMax {
		return fmt.Sprintf("%q is no address that others can dial", address)
	}
	return ""
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) error {
	status := s.raft.Status()
	c := &status.Configuration
	answer := api.Status{
		ID:             uint64(status.Self.ID),
		Incarnation:    strconv.FormatUint(uint64(status.Self.Incarnation), 16),
		Cluster:        status.Cluster.String(),
		Role:           roleName(status.Role),
		Term:           uint64(status.Term),
		Leader:         uint64(status.Leader),
		NoLeader:       status.NoLeader,
		FirstIndex:     uint64(status.FirstIndex),
		LastLogIndex:   uint64(status.Last),
		CommitIndex:    uint64(status.Committed),
		AppliedIndex:   uint64(status.Applied),
		SnapshotIndex:  uint64(status.SnapshotIndex),
		RecordIndex:    uint64(status.RecordIndex),
		LogBytes:       status.LogBytes,
		HeldBytes:      status.HeldBytes,
		LetGo:          status.LetGo,
		TooOld:         tooOld(&status),
		Priority:       status.Priority,
		TransferringTo: uint64(status.TransferringTo),
		NeedsNewTerm:   status.NeedsNewTerm,
		Unfit:          unfit(status.Unfit),
		LacksMachine:   status.LacksMachine,
		Receiving:      receiving(&status.Receiving),
		Leaving:        status.Leaving,
		LeftOffice:     status.LeftOffice,
		LeftTerm:       uint64(status.LeftTerm),
		Members:        make([]api.Member, 0, len(c.Members)),
		Joint:          c.Joint(),
		Forming:        status.Bootstrapping,
		Joining:        status.Joining,
		UnknownToGroup: status.UnknownToGroup,
		Removed:        status.Removed,
		LeaseMillis:    status.Lease.Milliseconds(),
		NoLease:        status.NoLease,
		Fatal:          fatal(s.raft.Err()),
	}
	answer.MachineVersion, answer.MachineVersionMin = status.Version, status.VersionMin
	answer.ElectionsPaused, answer.OthersPaused = status.ElectionsPaused, status.OthersPaused
	for _, m := range c.Members {
		answer.Members = append(answer.Members, api.Member{ID: uint64(m.ID), Address: m.Address, Kind: c.Kind(m.Identity).String(), Priority: m.Rank()})
	}
	if status.Contradiction != nil {
		answer.Contradiction = status.Contradiction.Error()
	}
	if status.LastContact >= 0 {
		answer.LastContact = new(status.LastContact.Seconds())
	}
	if status.LastQuorumContact >= 0 {
		answer.LastQuorumContact = new(status.LastQuorumContact.Seconds())
	}
	for i := range status.Peers {
		answer.Peers = append(answer.Peers, peer(&status.Peers[i]))
	}
	for _, w := range status.WaitsFor {
		answer.WaitsFor = append(answer.WaitsFor, api.Waiting{ID: uint64(w.Node), Why: w.Why})
	}
	s.answer(w, http.StatusOK, answer)
	return nil
}

func peer(p *troupe.PeerStatus) api.Peer {
	peer := api.Peer{
		ID: uint64(p.ID), Mode: p.Mode.String(), MatchIndex: uint64(p.Match), LagEntries: p.LagEntries, LagSeconds: p.Lag.Seconds(),
		InflightMessages: p.InflightMessages, InflightBytes: p.InflightBytes, SendErrors: p.SendErrors,
		SnapshotBytes: p.SnapshotBytes, SnapshotTotalBytes: p.SnapshotTotalBytes, LostData: p.LostData, Unfit: unfit(p.Unfit), Oversized: uint64(p.Oversized),
	}
	peer.SnapshotBytesPerSecond, peer.LacksMachine = p.SnapshotBytesPerSecond, p.LacksMachine
	if p.SnapshotBytesPerSecond > 0 && p.SnapshotLeft >= 0 {
		peer.SnapshotLeft = new(p.SnapshotLeft.Seconds())
	}
	if p.LastContact >= 0 {
		peer.LastContact = new(p.LastContact.Seconds())
	}
	return peer
}

// tooOld says from where on nothing is applied here for the version of the machine, "" if
// that is not so.
func tooOld(status *troupe.Status) string {
	if status.TooOld.Needs == 0 {
		return ""
	}
	return fmt.Sprintf("entry %d needs version %d of the state machine, which is of version %d here", status.TooOld.Index, status.TooOld.Needs, status.Version)
}

// unfit is why a node is not to be handed the leadership, "" if it may be.
func unfit(u troupe.Unfit) string {
	if u == troupe.Fit {
		return ""
	}
	return u.String()
}

// showMetrics leaves the answer to whoever takes the numbers.
func (s *Server) showMetrics(w http.ResponseWriter, r *http.Request) error {
	s.metrics.ServeHTTP(w, r)
	return nil
}

// roleName is the role as the API tells it: whoever asks for votes, or whether
// it would get them, is a candidate.
func roleName(role troupe.Role) string {
	if role == troupe.RolePreCandidate {
		role = troupe.RoleCandidate
	}
	return role.String()
}

func fatal(err error) string {
	var failed *troupe.FatalError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &failed) && failed.Cause != nil:
		return failed.Cause.Error()
	}
	return err.Error()
}

func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) error {
	status, err := s.live()
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, api.Health{OK: true, Leader: uint64(status.Leader)})
	return nil
}

const (
	// readyLag is how many entries a node that is ready may be behind a read index that it
	// asked for after its start.
	readyLag = 1000
	// readyPatience is for how long a probe waits for that read index.
	readyPatience = time.Second
)

// ready says whether requests may be sent here: a leader is known, and the machine has
// everything that was committed when the node started, or nearly so. Who restarts members
// one after the other goes by it: before that, a quorum may hang on the one that comes
// back.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) error {
	status, err := s.live()
	if err != nil {
		return err
	}
	switch {
	case status.Role == troupe.RoleNone:
		return troupe.ErrNoCluster
	case status.Removed:
		return troupe.ErrRemoved
	case status.Leader == 0:
		return &api.Error{Code: api.NoLeader, Message: "no leader is known"}
	case status.Contradiction != nil:
		return status.Contradiction
	}
	if err := s.catchUp(r.Context(), status); err != nil {
		return err
	}
	s.answer(w, http.StatusOK, api.Health{OK: true, Leader: uint64(status.Leader)})
	return nil
}

// catchUp returns an error until the machine was as current, once, as a node has to be that
// is ready. A lag that comes later is no reason to send requests elsewhere.
func (s *Server) catchUp(ctx context.Context, status troupe.Status) error {
	if s.current.Load() {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	_, err := s.raft.ReadIndex(limited, troupe.Linearizable, troupe.MaxLag(readyLag))
	if errors.Is(err, context.DeadlineExceeded) {
		return &api.Error{Code: api.TooStale, Message: fmt.Sprintf("entry %d is applied, and the leader %d has not told yet what was committed when this node started, or the last entries are not applied", status.Applied, status.Leader)}
	}
	if err == nil {
		s.current.Store(true)
	}
	return err
}

func (s *Server) live() (troupe.Status, error) {
	status := s.raft.Status()
	if err := s.raft.Err(); err != nil {
		return status, err
	}
	if status.Stopped {
		return status, troupe.ErrStopped
	}
	return status, nil
}
