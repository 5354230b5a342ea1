package server

import (
	"net/http"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// Limiter is the part of a node that limits what it sends of snapshots.
type Limiter interface {
	SnapshotRate() uint64
	SetSnapshotRate(bytesPerSecond uint64)
}

// ShowSnapshotRate lets clients see and change what the node sends of snapshots. It is
// called before the first request.
func (s *Server) ShowSnapshotRate(node Limiter) { s.limiter = node }

// rateBytesMax bounds the body of a rate, written generously.
const rateBytesMax = 256

func (s *Server) snapshotRate(w http.ResponseWriter, _ *http.Request) error {
	s.answer(w, http.StatusOK, api.SnapshotRate{BytesPerSecond: new(s.limiter.SnapshotRate())})
	return nil
}

func (s *Server) setSnapshotRate(w http.ResponseWriter, r *http.Request) error {
	var rate api.SnapshotRate
	if err := decode(w, r, rateBytesMax, &rate); err != nil {
		return err
	}
	if rate.BytesPerSecond == nil {
		return &api.Error{Code: api.BadRequest, Message: "bytes_per_second is missing: 0 sets none but that beside writes"}
	}
	s.limiter.SetSnapshotRate(*rate.BytesPerSecond)
	return s.snapshotRate(w, r)
}

// receiving is how far a snapshot has come that the node receives, nil if it receives
// none.
func receiving(p *troupe.SnapshotProgress) *api.Receiving {
	if p.TotalBytes == 0 {
		return nil
	}
	answer := &api.Receiving{From: uint64(p.From.ID), SnapshotIndex: uint64(p.Snapshot.Index), Bytes: p.Bytes, TotalBytes: p.TotalBytes, BytesPerSecond: p.BytesPerSecond}
	if p.Left >= 0 {
		answer.Left = new(p.Left.Seconds())
	}
	return answer
}
