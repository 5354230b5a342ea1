package server

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
)

// swapBytesMax bounds the body of a compare-and-swap: two values, each byte of
// which JSON may write as six.
const swapBytesMax = 2*6*machine.ValueBytesMax + 4096

func (s *Server) put(w http.ResponseWriter, r *http.Request, key string) error {
	value, err := body(w, r, machine.ValueBytesMax)
	if err != nil {
		return err
	}
	return s.write(w, r, machine.Put(key, value))
}

func (s *Server) remove(w http.ResponseWriter, r *http.Request, key string) error {
	return s.write(w, r, machine.Delete(key))
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, command []byte) error {
	result, err := s.propose(r, command)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, written(result))
	return nil
}

// propose hands a command over. A server sheds what it has no room for, rather
// than let it wait and time out.
func (s *Server) propose(r *http.Request, command []byte) (troupe.Result, error) {
	return s.raft.Propose(r.Context(), command, troupe.SharedCommand(), troupe.FailWithoutRoom())
}

func written(result troupe.Result) api.Written {
	return api.Written{Term: uint64(result.LogID.Term), Index: uint64(result.LogID.Index)}
}

func (s *Server) swap(w http.ResponseWriter, r *http.Request, key string) error {
	var given struct {
		Old json.RawMessage `json:"old"`
		New json.RawMessage `json:"new"`
	}
	if err := decode(w, r, swapBytesMax, &given); err != nil {
		return err
	}
	before, err := swapValue("old", given.Old)
	if err != nil {
		return err
	}
	after, err := swapValue("new", given.New)
	if err != nil {
		return err
	}
	result, err := s.propose(r, machine.CompareAndSwap(key, before, after))
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, api.Swapped{Swapped: machine.Swapped(result.Value), Written: written(result)})
	return nil
}

// swapValue reads a string or null, which is nil.
func swapValue(name string, raw json.RawMessage) ([]byte, error) {
	var text *string
	switch {
	case raw == nil:
		return nil, badRequest("%s is missing: a string, or null for an absent key", name)
	case json.Unmarshal(raw, &text) != nil:
		return nil, badRequest("%s is neither a string nor null", name)
	case text == nil:
		return nil, nil
	case strings.Count(*text, "\uFFFD") > bytes.Count(raw, []byte("\uFFFD"))+bytes.Count(bytes.ToLower(raw), []byte(`\ufffd`)):
		// encoding/json puts U+FFFD in the place of half a surrogate pair.
		return nil, badRequest("%s has an escape that is no character", name)
	case len(*text) > machine.ValueBytesMax:
		return nil, &api.Error{Code: api.TooLarge, Message: fmt.Sprintf("%s has %d bytes, at most %d", name, len(*text), machine.ValueBytesMax)}
	}
	return []byte(*text), nil
}

// get reads the local machine, once it is known to be current enough.
func (s *Server) get(w http.ResponseWriter, r *http.Request, key string) error {
	modes, err := readModes(r)
	if err != nil {
		return err
	}
	for _, mode := range modes {
		if _, err := s.raft.ReadIndex(r.Context(), mode); err != nil {
			return err
		}
	}
	value, found, err := s.reader.Get(key)
	switch {
	case err != nil:
		return err
	case !found:
		return &api.Error{Code: api.NotFound, Message: fmt.Sprintf("no key %q", key)}
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(value)))
	w.WriteHeader(http.StatusOK)
	if _, err := w.Write(value); err != nil {
		s.logger.Debug("an answer was not sent", "error", err)
	}
	return nil
}
