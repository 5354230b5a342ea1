//go:build unix

package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/metrics"
)

// scrape returns what a node says of itself, by families: the lines of each.
func (n *node) scrape() (map[string][]string, error) {
	response, err := http.Get("http://" + n.httpAddress + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
		return nil, fmt.Errorf("%v %v: %w", response.Status, response.Header, err)
	}
	families := make(map[string][]string)
	name := ""
	for line := range strings.Lines(string(body)) {
		if rest, ok := strings.CutPrefix(line, "# HELP "); ok {
			name, _, _ = strings.Cut(rest, " ")
		}
		families[name] = append(families[name], strings.TrimSuffix(line, "\n"))
	}
	return families, nil
}

// TestMetricsFromTheStart asserts that a node that has done nothing shows every
// family of the table, with its help, its type and a value; and that nothing
// about them changes with the first writes.
func TestMetricsFromTheStart(t *testing.T) {
	n := newNode(t, 1)
	n.start()
	check := func(when string) map[string][]string {
		families, err := n.scrape()
		if err != nil {
			t.Fatal(err)
		}
		raft := 0
		for name := range families {
			if strings.HasPrefix(name, "raft_") {
				raft++
			}
		}
		if raft < 20 || raft != len(metrics.Table()) {
			t.Errorf("%s: %d families", when, raft)
		}
		for _, row := range metrics.Table() {
			name := row.PrometheusName()
			lines := families[name]
			if len(lines) < 3 || lines[0] != "# HELP "+name+" "+row.Description || lines[1] != "# TYPE "+name+" "+row.Kind.String() {
				t.Errorf("%s: %s is %q", when, name, lines)
			}
			if row.Kind == metrics.Histogram {
				if text := strings.Join(lines, "\n"); !strings.Contains(text, name+"_bucket{") || !strings.Contains(text, `le="+Inf"`) || !strings.Contains(text, name+"_count{") {
					t.Errorf("%s: %s has no buckets: %s", when, name, text)
				}
			}
			seen := make(map[string]bool)
			for _, line := range lines[min(2, len(lines)):] {
				series, _, _ := strings.Cut(line, " ")
				if seen[series] || !strings.Contains(series, `raft_node="1"`) {
					t.Errorf("%s: the series %s", when, series)
				}
				seen[series] = true
			}
		}
		return families
	}
	role := func(families map[string][]string, name string) {
		if series := fmt.Sprintf(`raft_role{raft_group="1",raft_node="1",raft_role=%q} 1`, name); !slices.Contains(families["raft_role"], series) {
			t.Errorf("not %s: %q", series, families["raft_role"])
		}
	}
	role(check("at the start"), "none")
	n.mustKV("init", "--members", "1="+n.raftAddress)
	eventually(t, "a write", func() error {
		if r := kv(t, "put", "a", "b", "--http", "http://"+n.httpAddress); r.code != 0 {
			return fmt.Errorf("%s", r.stderr)
		}
		return nil
	})
	families := check("after a write")
	role(families, "leader")
	for _, name := range []string{"raft_log_sync_duration_seconds", "raft_propose_duration_seconds", "raft_apply_duration_seconds"} {
		text := strings.Join(families[name], "\n")
		if strings.Contains(text, name+"_count{raft_node=\"1\"} 0") || strings.Contains(text, name+"_count{raft_group=\"1\",raft_node=\"1\"} 0") {
			t.Errorf("nothing was recorded: %s", text)
		}
	}
	if len(families["go_goroutines"]) == 0 || len(families["process_cpu_seconds_total"]) == 0 {
		t.Error("the runtime's numbers are missing")
	}
}

// TestMetricsAndStatusOfPeers asserts that a leader shows the lag of a member
// that is down, in its metrics and in its status.
func TestMetricsAndStatusOfPeers(t *testing.T) {
	c := newCluster(t, "--store", "memory", "--election-timeout", "3s")
	leader := c.leader()
	c.caughtUp()
	down := c.others(leader)[0]
	// A member may have applied what the leader does not know it to have yet.
	eventually(t, "contact with all, which lack nothing", func() error {
		s, err := leader.status()
		if err != nil || len(s.Peers) != 2 {
			return fmt.Errorf("%+v %w", s.Peers, err)
		}
		for _, p := range s.Peers {
			if p.LastContact == nil || p.LagEntries > 0 {
				return fmt.Errorf("%+v", p)
			}
		}
		return nil
	})
	down.kill()
	for range 3 {
		leader.mustKV("put", "a", "b")
	}
	series := fmt.Sprintf(`raft_peer_lag_entries{raft_group="1",raft_node="%d",raft_peer="%d"} 3`, leader.id, down.id)
	eventually(t, "the lag of the peer", func() error {
		families, err := leader.scrape()
		if err != nil {
			return err
		}
		for _, line := range families["raft_peer_lag_entries"] {
			if line == series {
				return nil
			}
		}
		return fmt.Errorf("%q", families["raft_peer_lag_entries"])
	})
	eventually(t, "the peers in the status", func() error {
		s, err := leader.status()
		if err != nil {
			return err
		}
		if len(s.Peers) != 2 || s.LastContact == nil {
			return fmt.Errorf("%+v", s)
		}
		for _, p := range s.Peers {
			if p.ID == down.id && (p.LagEntries != 3 || p.LagSeconds <= 0 || p.SendErrors == 0 || p.LastContact == nil) ||
				p.ID != down.id && (p.LagEntries != 0 || p.MatchIndex != s.LastLogIndex || p.Mode != "replicate" || p.LastContact == nil) {
				return fmt.Errorf("%+v", s.Peers)
			}
		}
		return nil
	})
	if out := leader.mustKV("status"); !strings.Contains(out, `"lag_entries":3`) {
		t.Errorf("kv status: %s", out)
	}
}
