// Package server is the HTTP side of the key-value store; package api says
// what it answers.
package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/otel/propagation"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// Raft is the part of *troupe.Raft that the server uses.
type Raft interface {
	Propose(ctx context.Context, command []byte, options ...troupe.ProposeOption) (troupe.Result, error)
	ReadIndex(ctx context.Context, mode troupe.ReadMode, options ...troupe.ReadOption) (troupe.Index, error)
	Bootstrap(ctx context.Context, members ...troupe.Member) error
	TransferLeadership(ctx context.Context, to troupe.NodeID) error
	Elect(ctx context.Context) error
	PauseElections(ctx context.Context, paused bool) error
	ChangeMembers(ctx context.Context, changes []troupe.Change, options ...troupe.ChangeOption) (troupe.Configuration, error)
	CancelChange(ctx context.Context) error
	Snapshot(ctx context.Context) (troupe.SnapshotMeta, error)
	Purge(ctx context.Context, upTo troupe.Index) (troupe.Index, error)
	Admit(ctx context.Context, request troupe.JoinRequest, options ...troupe.ChangeOption) (troupe.Configuration, error)
	Backup(ctx context.Context, w io.Writer, options ...troupe.BackupOption) (troupe.BackupMeta, error)
	Status() troupe.Status
	Err() error
}

// Reader is the part of the state machine that the server uses.
type Reader interface {
	Get(key string) (value []byte, found bool, err error)
}

// Server answers requests out of a group and its state machine.
type Server struct {
	raft   Raft
	reader Reader
	logger *slog.Logger
	// metrics is nil if the node measures nothing.
	metrics http.Handler
	// limiter is nil if the node sends no snapshots.
	limiter Limiter
	// current: the machine has caught up since the start.
	current atomic.Bool
}

// New returns a server, which is an http.Handler.
func New(raft Raft, reader Reader, logger *slog.Logger) *Server {
	return &Server{raft: raft, reader: reader, logger: logger}
}

// ShowMetrics lets GET /metrics be answered by h. It is called before the first
// request.
func (s *Server) ShowMetrics(h http.Handler) { s.metrics = h }

// handler answers one request, or returns why it cannot.
type handler func(w http.ResponseWriter, r *http.Request) error

// ServeHTTP implements http.Handler. Paths are taken as they were sent, never
// cleaned: "..", "%2F" and the like are keys like any other.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	methods, ok := s.route(r)
	if !ok {
		s.fail(w, r, &api.Error{Code: api.NotFound, Message: "there is nothing at " + r.URL.EscapedPath()})
		return
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	handle, ok := methods[method]
	if !ok {
		s.refuseMethod(w, r, methods)
		return
	}
	limit, err := timeout(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	// A caller that is traced is followed, or not, as it says.
	ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := handle(w, r.WithContext(ctx)); err != nil {
		s.fail(w, r, err)
	}
}

// route finds what can be done at a path.
func (s *Server) route(r *http.Request) (map[string]handler, bool) {
	path := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(path, "/kv/"); ok {
		// A slash of the key is escaped, so that one in the path divides.
		if key, ok := strings.CutSuffix(rest, "/cas"); ok {
			return map[string]handler{http.MethodPost: s.withKey(key, s.swap)}, true
		}
		return map[string]handler{
			http.MethodGet:    s.withKey(rest, s.get),
			http.MethodPut:    s.withKey(rest, s.put),
			http.MethodDelete: s.withKey(rest, s.remove),
		}, true
	}
	switch path {
	case "/cluster/init":
		return map[string]handler{http.MethodPost: s.form}, true
	case "/cluster/transfer":
		return map[string]handler{http.MethodPost: s.transfer}, true
	case "/cluster/elect":
		return map[string]handler{http.MethodPost: s.elect}, true
	case "/node/elections":
		return map[string]handler{http.MethodGet: s.elections, http.MethodPost: s.pauseElections}, true
	case "/cluster/snapshot":
		return map[string]handler{http.MethodPost: s.snapshot}, true
	case "/cluster/purge":
		return map[string]handler{http.MethodPost: s.purge}, true
	case "/cluster/members":
		return map[string]handler{http.MethodGet: s.members, http.MethodPost: s.changeMembers}, true
	case "/cluster/join":
		return map[string]handler{http.MethodPost: s.join}, true
	case "/cluster/members/cancel":
		return map[string]handler{http.MethodPost: s.cancelChange}, true
	case "/node/snapshot-rate":
		return map[string]handler{http.MethodGet: s.snapshotRate, http.MethodPost: s.setSnapshotRate}, s.limiter != nil
	case "/cluster/backup":
		return map[string]handler{http.MethodGet: s.backup}, true
	case "/status":
		return map[string]handler{http.MethodGet: s.status}, true
	case "/metrics":
		return map[string]handler{http.MethodGet: s.showMetrics}, s.metrics != nil
	case "/healthz":
		return map[string]handler{http.MethodGet: s.healthy}, true
	case "/readyz":
		return map[string]handler{http.MethodGet: s.ready}, true
	}
	return nil, false
}

func (s *Server) refuseMethod(w http.ResponseWriter, r *http.Request, methods map[string]handler) {
	var allowed []string
	for method := range methods {
		allowed = append(allowed, method)
		if method == http.MethodGet {
			allowed = append(allowed, http.MethodHead)
		}
	}
	slices.Sort(allowed)
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	e := &api.Error{Code: api.BadRequest, Message: "no " + r.Method + " here: " + strings.Join(allowed, ", ")}
	s.answer(w, http.StatusMethodNotAllowed, e)
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	e := s.describe(err)
	if e.Code == api.Internal {
		s.logger.Error("a request failed", "method", r.Method, "path", r.URL.EscapedPath(), "error", err)
	}
	s.answer(w, e.Code.HTTPStatus(), e)
}

func (s *Server) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		// The client is gone.
		s.logger.Debug("an answer was not sent", "error", err)
	}
}
