package server

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/network/inproc"
	"github.com/trouperaft/troupe/storage/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// failing is a machine that fails where it is told to.
type failing struct {
	*machine.Memory
	on string
}

func (f *failing) Apply(ctx context.Context, entries []troupe.Entry) ([][]byte, error) {
	results, err := f.Memory.Apply(ctx, entries)
	if _, found, _ := f.Get(f.on); found && err == nil {
		return nil, errors.New("disk on fire")
	}
	return results, err
}

// TestFatalGroup lets a real group of one fail, and stop: the server goes on
// to say so.
func TestFatalGroup(t *testing.T) {
	log := memory.New(1)
	defer log.Close()
	f := &failing{Memory: machine.NewMemory(), on: "boom"}
	raft, err := troupe.Start(t.Context(), troupe.NodeConfig{
		ID: 1, Log: log, Snapshots: memory.NewSnapshots(), Network: inproc.NewHub().Network("one"),
	}, troupe.Config{StateMachine: f, ElectionTimeout: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer raft.Kill()
	s := New(raft, f, slog.New(slog.DiscardHandler))
	exchange{"PUT", "/kv/a?timeout=20ms", "x", 503, "no_cluster"}.run(t, s)

	members := `{"members":[{"id":1,"address":"one:1"}]}`
	exchange{"POST", "/cluster/init", members, 200, members}.run(t, s)
	exchange{"POST", "/cluster/init", members, 200, members}.run(t, s)
	exchange{"POST", "/cluster/init", `{"members":[{"id":2,"address":"two:2"}]}`, 400, "bad_request"}.run(t, s)

	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("PUT", "/kv/boom", nil))
	var e api.Error
	if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || e.Code != api.UnknownOutcome || !e.MayHaveHappened {
		t.Fatalf("the write that broke it: %s", w.Body)
	}
	<-raft.Done()
	exchange{"PUT", "/kv/b", "x", 503, "stopped"}.run(t, s)
	exchange{"GET", "/kv/b", "", 503, "stopped"}.run(t, s)
	exchange{"POST", "/cluster/init", members, 503, "stopped"}.run(t, s)
	exchange{"GET", "/healthz", "", 503, "stopped"}.run(t, s)
	exchange{"GET", "/readyz", "", 503, "stopped"}.run(t, s)
	w = httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/status", nil))
	var status api.Status
	if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || w.Code != 200 || status.ID != 1 || status.Fatal == "" {
		t.Fatalf("status: %d %s", w.Code, w.Body)
	}
	t.Logf("fatal: %s", status.Fatal)
}
