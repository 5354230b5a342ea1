package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/trouperaft/troupe"
)

// scriptedRaft answers each Bootstrap with the next of its answers; one that is
// nil waits for the end of its context first.
type scriptedRaft struct {
	answers []func() error
	done    chan struct{}

	mu     sync.Mutex
	asked  int
	status troupe.Status
}

func (r *scriptedRaft) Bootstrap(ctx context.Context, members ...troupe.Member) error {
	r.mu.Lock()
	answer := r.answers[r.asked]
	r.asked++
	r.mu.Unlock()
	if answer == nil {
		<-ctx.Done()
		return &troupe.FormingError{Cause: ctx.Err()}
	}
	return answer()
}

func (r *scriptedRaft) Status() troupe.Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *scriptedRaft) Done() <-chan struct{} { return r.done }

func (r *scriptedRaft) set(change func(*troupe.Status)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.status)
}

// log is a logger's text.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
	told chan string // if not nil, takes each line
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.told != nil {
		l.told <- string(p)
	}
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func outside() *scriptedRaft {
	r := &scriptedRaft{done: make(chan struct{})}
	r.status.Role = troupe.RoleNone
	return r
}

func formerOf(r *scriptedRaft, l *log) *former {
	f := newFormer(r, []troupe.Member{troupe.At(1, "a:1"), troupe.At(2, "b:2")}, slog.New(slog.NewTextHandler(l, nil)))
	f.look, f.retryMin, f.retryMax = time.Millisecond, time.Microsecond, time.Millisecond
	return f
}

// TestFormerTriesAgain: a member that does not answer is asked again until the
// cluster is there; each new error is reported once.
func TestFormerTriesAgain(t *testing.T) {
	r, l := outside(), &log{}
	silent := func() error {
		return &troupe.BootstrapError{Node: 2, Reason: "does not answer at b:2", Cause: errors.New("refused")}
	}
	joined := func() error {
		r.set(func(s *troupe.Status) { s.Role, s.Cluster = troupe.RoleLearner, troupe.ClusterID{1} })
		return nil
	}
	r.answers = []func() error{silent, silent, silent, joined}
	formerOf(r, l).run(t.Context())
	if r.asked != 4 {
		t.Errorf("asked %d times", r.asked)
	}
	if n := strings.Count(l.String(), "node 2 does not answer at b:2: refused"); n != 1 || strings.Contains(l.String(), "level=ERROR") {
		t.Errorf("told %d times: %s", n, l)
	}
	if want := (troupe.ClusterID{1}).String(); !strings.Contains(l.String(), "cluster="+want) {
		t.Errorf("the cluster %s is not told: %s", want, l)
	}
}

// TestFormerNamesWhatIsWrong: errors that need an operator are reported as such.
func TestFormerNamesWhatIsWrong(t *testing.T) {
	for name, test := range map[string]struct {
		err    error
		status func(*troupe.Status)
		again  bool
		says   string
	}{
		"emptied, told by its peers":  {&troupe.BootstrapError{Node: 1, Reason: "lost its data: the cluster knows it as 1/abc"}, nil, true, "node 1 lost its data"},
		"emptied, told by its leader": {&troupe.BootstrapError{Node: 1, Reason: "no"}, func(s *troupe.Status) { s.UnknownToGroup = true }, true, "this node has lost its data"},
		"another list elsewhere":      {&troupe.BootstrapError{Node: 2, Reason: "is not empty"}, nil, true, "cannot be formed"},
		"another list here":           {&troupe.BootstrapError{Node: 1, Reason: "belongs to a cluster already"}, func(s *troupe.Status) { s.Role = troupe.RoleFollower }, false, "founded with another list"},
	} {
		t.Run(name, func(t *testing.T) {
			r, l := outside(), &log{}
			refuse := func() error { return test.err }
			if test.status != nil {
				r.set(test.status)
			}
			r.answers = []func() error{refuse}
			if test.again {
				r.answers = append(r.answers, refuse, func() error { return nil })
			}
			formerOf(r, l).run(t.Context())
			if r.asked != len(r.answers) {
				t.Errorf("asked %d times, not %d", r.asked, len(r.answers))
			}
			if strings.Count(l.String(), "level=ERROR") != 1 || !strings.Contains(l.String(), test.says) || !strings.Contains(l.String(), test.err.Error()) {
				t.Errorf("told: %s", l)
			}
		})
	}
}

// TestFormerTellsForWhomItWaits, and ends with its context.
func TestFormerTellsForWhomItWaits(t *testing.T) {
	r, l := outside(), &log{told: make(chan string)}
	r.answers = []func() error{nil}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan struct{})
	f := formerOf(r, l)
	f.waits = pace{same: time.Hour}
	go func() {
		defer close(ended)
		f.run(ctx)
	}()
	for _, why := range []string{"granted to node 3", "unreachable: refused"} {
		r.set(func(s *troupe.Status) { s.WaitsFor = []troupe.Waiting{{Node: 2, Why: why}} })
		if line := <-l.told; !strings.Contains(line, "node 2: "+why) {
			t.Errorf("told: %s", line)
		}
	}
	cancel()
	<-ended
}

// TestFormerEndsWithItsGroup: a group that has ended forms nothing.
func TestFormerEndsWithItsGroup(t *testing.T) {
	r, l := outside(), &log{}
	r.answers = []func() error{func() error {
		close(r.done)
		return troupe.ErrStopped
	}}
	formerOf(r, l).run(t.Context())
	if l.String() != "" {
		t.Errorf("told: %s", l)
	}
}

func TestPace(t *testing.T) {
	p := pace{changed: 5 * time.Second, same: time.Minute}
	at := func(seconds int) time.Time { return time.Unix(1000, 0).Add(time.Duration(seconds) * time.Second) }
	var told []string
	for s := range 200 {
		text := "a"
		if s > 2 && s < 100 {
			text = "b"
		}
		if p.due(at(s), text) {
			told = append(told, fmt.Sprint(s, text))
		}
	}
	if got, want := fmt.Sprint(told), "[0a 5b 65b 100a 160a]"; got != want {
		t.Errorf("told at %v, want %v", got, want)
	}
}
