package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

// shown is what a progress has written, which its own goroutine does.
type shown struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *shown) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestChangeProgress: a pipe gets a line for each step, a terminal a bar that is drawn again and
// taken away in the end.
func TestChangeProgress(t *testing.T) {
	states := []string{
		`{"state":"none","waits_for":[]}`,
		`{"state":"catching_up","waits_for":[4],"progress":[{"id":5,"percent":90},{"id":4,"percent":25,"lag_entries":30,"entries_per_second":10,"rest_ms":3000}]}`,
		`{"state":"catching_up","waits_for":[4],"progress":[{"id":4,"percent":0,"snapshot_bytes":512,"snapshot_total_bytes":1024}]}`,
		`{"state":"joint","waits_for":[2,4]}`,
	}
	for _, terminal := range []bool{false, true} {
		asked := make(chan int)
		var n int
		front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n < len(states) {
				_, _ = io.WriteString(w, fmt.Sprintf(`{"index":7,"change":%s,"members":[]}`, states[n]))
			}
			n++
			select {
			case asked <- n:
			case <-r.Context().Done(): // asked once more before it was stopped
			}
		}))
		to, err := client.New(front.URL, time.Minute, nil)
		if err != nil {
			t.Fatal(err)
		}
		out := &shown{}
		p := &changeProgress{to: to, out: out, terminal: terminal, first: time.Millisecond, every: time.Millisecond}
		stop := p.start(t.Context())
		for range states {
			<-asked
		}
		<-asked // the last state was shown
		stop()
		front.Close()
		want := "catching up, waits for node 4\njoint, waits for node 2, 4\n"
		if terminal {
			const again = "\r\x1b[K"
			want = again + "node 4 [######..................]  25%, 30 entries behind, 10 a second, 3s left" +
				again + "node 4 [############............]  50% of a snapshot of 1 MiB" + again + "joint, waits for node 2, 4" + again
		}
		if got := out.String(); got != want {
			t.Errorf("terminal %t: it shows %q, want %q", terminal, got, want)
		}
	}
}

// TestChangeProgressIsSilent: of a change that ends at once nothing is shown, nor is one asked.
func TestChangeProgressIsSilent(t *testing.T) {
	to, err := client.New("127.0.0.1:1", time.Second, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := &shown{}
	p := &changeProgress{to: to, out: out, terminal: true, first: time.Hour, every: time.Hour}
	p.start(t.Context())()
	if out.String() != "" {
		t.Errorf("%q", out)
	}
	if got := barText(&api.Progress{ID: 1, Percent: 150}); !strings.Contains(got, "[########################] 100%") {
		t.Error(got)
	}
}
