package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/membership"
)

// joinBytesMax bounds the body of a join, written generously.
const joinBytesMax = membership.AddressBytesMax + 4096

// join lets the node in that asks.
func (s *Server) join(w http.ResponseWriter, r *http.Request) error {
	var given api.Join
	if err := decode(w, r, joinBytesMax, &given); err != nil {
		return err
	}
	request, wrong := joinOf(&given)
	if wrong != "" {
		return badRequest("%s", wrong)
	}
	var report troupe.ChangeReport
	c, err := s.raft.Admit(r.Context(), request, troupe.ReportChange(&report))
	if err != nil {
		return refusedJoin(&given, err)
	}
	s.answerChange(w, &c, &report)
	return nil
}

// joinOf reads who asks, or says what is wrong with which field.
func joinOf(given *api.Join) (request troupe.JoinRequest, wrong string) {
	incarnation, err := strconv.ParseUint(given.Incarnation, 16, 64)
	switch {
	case given.ID == 0:
		return request, "id: ids begin at 1"
	case err != nil || incarnation == 0:
		return request, fmt.Sprintf("incarnation: %q is no hexadecimal number of 64 bits", given.Incarnation)
	case given.Address == "":
		return request, "address: it is missing"
	}
	request = troupe.JoinRequest{Node: troupe.NodeID(given.ID), Incarnation: troupe.Incarnation(incarnation), Address: given.Address, Cluster: given.Cluster}
	switch given.As {
	case "", api.AsVoter:
	case api.AsLearner:
		request.Learner = true
	case api.AsStandby:
		request.Standby = true
	default:
		return request, fmt.Sprintf("as: %q is none of voter, learner, standby", given.As)
	}
	return request, ""
}

// refusedJoin says what the node that asks can do, or whoever runs it.
func refusedJoin(given *api.Join, err error) error {
	var wrong *troupe.ChangeError
	if !errors.As(err, &wrong) {
		return err
	}
	e := &api.Error{Code: api.BadRequest, Message: err.Error(), Reason: changeReasons[wrong.Reason]}
	if wrong.Reason == troupe.ChangeEmptied {
		e.Message += fmt.Sprintf("; use replace: kv members replace %d", given.ID)
	}
	return e
}
