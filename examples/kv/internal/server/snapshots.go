package server

import (
	"net/http"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// purgeBytesMax bounds the body of a purge, written generously.
const purgeBytesMax = 1024

func (s *Server) purge(w http.ResponseWriter, r *http.Request) error {
	var asked api.Purge
	if err := decode(w, r, purgeBytesMax, &asked); err != nil {
		return err
	}
	if asked.UpTo == 0 {
		return badRequest("up_to is 0: indexes begin at 1")
	}
	first, err := s.raft.Purge(r.Context(), troupe.Index(asked.UpTo))
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, api.Purged{FirstIndex: uint64(first)})
	return nil
}
