//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

var phaseKills = flag.Int("phase-kills", 1, "how often TestLeaderDiesInEachPhase kills the leader in each phase of a change")

// changePhases are those in which a leader can die.
var changePhases = []string{"before", "catching up", "joint appended", "joint committed", "new appended"}

// phases are four nodes of whom three vote: each change takes the fourth in, in the place of
// one of the others.
type phases struct {
	*testing.T
	nodes  []*node
	voters []*node
	counts map[string]int
	// leaving counts the leaders who were to leave by the change in which they died.
	leaving int
}

// TestLeaderDiesInEachPhase kills the leader in each phase of a change, under load, so
// often as -phase-kills says. The leader may be the one who leaves, and whoever asked for
// the change may die with it. The change ends while the leader is still down, nothing that
// was acknowledged is lost, and the leader comes back to what was decided. In which phase it
// was killed its own directory tells. That it knew the joint entry to be committed it says
// itself, when it is about to write the next one: with that, the commit index is written.
//
//	go test ./examples/kv -run TestLeaderDiesInEachPhase -v -timeout 0 -args -phase-kills=10
func TestLeaderDiesInEachPhase(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes a while")
	}
	const electionTimeout = 500 * time.Millisecond
	dying := filepath.Join(t.TempDir(), "kv")
	if out, err := exec.Command("go", "build", "-tags", "hang", "-o", dying, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	p := &phases{T: t, counts: make(map[string]int)}
	for id := uint64(1); id <= 4; id++ {
		n := newNode(t, id, "--election-timeout", electionTimeout.String(), "--heartbeat", "50ms", "--snapshot-entries", "20000")
		n.binary, n.environment = dying, []string{"KV_DIE_FILE=" + n.dieFile()}
		n.start()
		p.nodes = append(p.nodes, n)
	}
	p.voters = slices.Clone(p.nodes[:3])
	first := &cluster{t: t, nodes: p.voters}
	p.voters[0].mustKV("init", "--members", first.members())
	first.leader()
	c := newChanging(t, p.voters[0])
	c.pauseMost = 10 * electionTimeout
	most := 10 * *phaseKills * len(changePhases)
	for attempt := 0; p.missing() != ""; attempt++ {
		if attempt == most {
			t.Fatalf("%d leaders were killed, in these phases: %v", attempt, p.counts)
		}
		p.attempt(c, p.missing())
	}
	c.stop(p.voters[0])
	t.Logf("the leader was killed in these phases, and every change has ended: %v; %d of the leaders were to leave", p.counts, p.leaving)
}

// dieFile tells the node when to die.
func (n *node) dieFile() string { return filepath.Join(filepath.Dir(n.dir), "die") }

// missing is a phase in which too few leaders have died yet, "" if there is none.
func (p *phases) missing() string {
	for _, phase := range changePhases {
		if p.counts[phase] < *phaseKills {
			return phase
		}
	}
	return ""
}

// attempt asks for a change, and lets the leader die in it, as near to a phase as can be.
func (p *phases) attempt(c *changing, phase string) {
	p.Helper()
	spare := p.spare()
	leader := (&cluster{t: p.T, nodes: p.voters}).leader()
	gone := p.voters[rand.IntN(len(p.voters))]
	if phase == "joint committed" || phase == "new appended" {
		// A leader that leaves hands over first.
		gone = without(p.voters, leader)[rand.IntN(2)]
	}
	survivors := without(p.voters, leader)
	asked := append(survivors, leader)[rand.IntN(3)]
	step := fmt.Sprintf("node %d for %d, asked of %d, led by %d, to die when %s", spare.id, gone.id, asked.id, leader.id, phase)
	c.does(step, survivors...)
	before := p.index(leader)
	delay := [...]time.Duration{0, time.Duration(rand.IntN(5)) * time.Millisecond}[rand.IntN(2)]
	aside := leader.dieFile() + ".aside"
	if err := errors.Join(os.WriteFile(aside, fmt.Appendf(nil, "%s %v", phase, delay), 0o600), os.Rename(aside, leader.dieFile())); err != nil {
		p.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() { answer <- changeOf(asked, spare, gone) }()
	select {
	case <-leader.process.ended:
	case <-time.After(waitLimit):
		p.Fatalf("%s: it lives", step)
	}
	if err := os.Remove(leader.dieFile()); err != nil {
		p.Fatal(err)
	}
	died := p.phaseOf(leader, before)
	p.counts[died]++
	if gone == leader {
		p.leaving++
	}
	p.ends(step, died, spare, gone, leader, asked, <-answer)
	leader.start()
	c.does("all come back", p.voters...)
	p.comesBack(gone)
}

// ends wants the change to come to its end without the leader that began it. If nobody
// had begun it, and who asked is dead, it is asked for again.
func (p *phases) ends(step, died string, spare, gone, leader, asked *node, err error) {
	p.Helper()
	old := votersOf(p.voters...)
	next := append(without(p.voters, gone), spare)
	want := votersOf(next...)
	alive := &cluster{t: p.T, nodes: without(without(next, leader), spare)}
	if asked != leader && err != nil {
		p.Fatalf("%s, died when %s: %v", step, died, err)
	}
	var now string
	eventually(p.T, step+", died when "+died, func() error {
		m, err := alive.nodes[0].client.Members(p.Context())
		if err != nil {
			return err
		}
		s, err := alive.nodes[0].status()
		now = membersText(m)
		if err != nil || s.Leader == 0 || s.Leader == leader.id || m.Change.State != api.ChangeNone || m.Joint || !m.Committed || now != want && now != old {
			return fmt.Errorf("led by %d: %+v, %w", s.Leader, m, err)
		}
		return nil
	})
	if now == old && old != want {
		if asked != leader || died != "before" {
			p.Fatalf("%s, died when %s, and nothing has changed", step, died)
		}
		if err := changeOf(alive.nodes[0], spare, gone); err != nil {
			p.Fatal(err)
		}
	}
	p.voters = next
	p.Logf("%s, died when %s, and node %d said %v", step, died, asked.id, err)
}

// comesBack wants all voters to agree, and the one that left to know it. Half the time it
// loses its data then.
func (p *phases) comesBack(gone *node) {
	p.Helper()
	want := votersOf(p.voters...)
	(&cluster{t: p.T, nodes: p.voters}).leader()
	for _, n := range p.voters {
		n.membersAre(want)
	}
	eventually(p.T, fmt.Sprintf("node %d knows that it was removed", gone.id), func() error {
		s, err := gone.status()
		if err != nil || !s.Removed {
			return fmt.Errorf("%+v, %w", s, err)
		}
		return nil
	})
	if rand.IntN(2) == 0 {
		return
	}
	gone.terminate(syscall.SIGTERM)
	if err := os.RemoveAll(gone.dir); err != nil {
		p.Fatal(err)
	}
	gone.start()
}

// changeOf asks a node to take another in, in the place of a third.
func changeOf(asked, comes, goes *node) error {
	to, err := client.New(asked.httpAddress, waitLimit, &http.Transport{DisableKeepAlives: true})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	defer cancel()
	m, err := to.ChangeMembers(ctx, api.Change{Changes: []api.MemberChange{
		{Op: "add", ID: comes.id, Address: comes.raftAddress}, {Op: "remove", ID: goes.id},
	}})
	if err == nil && m.ChangeID != "" {
		err = fmt.Errorf("it goes on: %+v", m)
	}
	return err
}

// spare is the node that does not vote.
func (p *phases) spare() *node {
	i := slices.IndexFunc(p.nodes, func(n *node) bool { return !slices.Contains(p.voters, n) })
	return p.nodes[i]
}

func without(nodes []*node, one *node) []*node {
	return slices.DeleteFunc(slices.Clone(nodes), func(n *node) bool { return n == one })
}

// index is that of the members in force.
func (p *phases) index(n *node) uint64 {
	p.Helper()
	m, err := n.client.Members(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return m.Index
}

// phaseOf tells by a dead leader's directory how far the change had come behind an index.
func (p *phases) phaseOf(n *node, before uint64) string {
	p.Helper()
	r := kv(p.T, "inspect", "--json", "--data", n.dir)
	var found struct {
		HardState struct {
			Commit uint64 `json:"commit"`
		} `json:"hard_state"`
		FirstIndex     uint64 `json:"first_index"`
		Configurations []struct {
			Index uint64 `json:"index"`
			Joint bool   `json:"joint"`
		} `json:"configurations"`
	}
	if err := json.Unmarshal([]byte(r.stdout), &found); err != nil || r.code != 0 {
		p.Fatalf("kv inspect: exit code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
	}
	phase := "before"
	for _, c := range found.Configurations {
		switch {
		case c.Index <= before:
		case c.Joint && c.Index <= found.HardState.Commit:
			phase = "joint committed"
		case c.Joint:
			phase = "joint appended"
		case phase == "before":
			phase = "catching up"
		default:
			phase = "new appended"
		}
	}
	if phase == "joint appended" && strings.Contains(n.log(), `dies on request, 0s after "joint committed"`) {
		return "joint committed"
	}
	return phase
}
