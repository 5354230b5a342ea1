package core

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/trouperaft/troupe/membership"
)

// rig is one engine, node 1, and a test that plays all others. Each step returns
// its commands as lines.
type rig struct {
	t   *testing.T
	e   *Engine
	out Output
	now Instant
	// last are the commands of the last step.
	last []Command
}

// rigOptions say what a rig begins with. The zero value is a voter of 1 to 3
// with nothing but the configuration in its log.
type rigOptions struct {
	voters    int    // 3 unless set
	learner   bool   // node 1 only learns
	terms     []Term // those of the entries behind the configuration
	term      Term   // at least that of the last entry
	commit    Index
	applied   Index
	purged    Index
	configure func(c *Config)
}

var worldCluster = clusterID(0xc1)

// worldIdentity is the one under which a node begins.
func worldIdentity(id NodeID) Identity {
	return Identity{ID: id, Incarnation: membership.Incarnation(id) * 16}
}

// testConfig is the configuration of the engines of this package's tests.
func testConfig(self Identity) Config {
	return Config{
		Group: 1, Self: self, Seed: uint64(self.ID),
		Settings: Settings{ElectionTimeout: time.Second, HeartbeatInterval: 100 * time.Millisecond, HungLimit: 2 * time.Second, ClockDriftMax: 0.1, UncommittedBytesMax: 1 << 20, HoldBytesMax: 1 << 20, HoldTimeMax: time.Minute},
	}
}

var rigPeers = []Identity{worldIdentity(1), worldIdentity(2), worldIdentity(3), worldIdentity(4), worldIdentity(5)}

// rigMembers are the same, as a node keeps them.
var rigMembers = []membership.Member{{Identity: rigPeers[0]}, {Identity: rigPeers[1], Address: "two"}, {Identity: rigPeers[2], Address: "three"}}

// rigState is what the store of a rig holds: 1.1 is the configuration.
func rigState(o rigOptions) State {
	if o.voters == 0 {
		o.voters = 3
	}
	var c membership.Configuration
	for _, id := range rigPeers[:o.voters] {
		c.Members = append(c.Members, membership.Member{Identity: id})
		if !o.learner || id.ID != 1 {
			c.Voters = append(c.Voters, id)
		}
	}
	entries := []Entry{{LogID: LogID{1, 1}, Kind: EntryConfiguration, Data: c.Encode()}}
	for i, term := range o.terms {
		entries = append(entries, command(LogID{term, Index(i) + 2}))
	}
	log, sizes := termRuns{}, LogSizes{}
	log.extend(entries)
	sizes.Append(entries)
	if o.purged > 0 {
		log.purge(entries[o.purged-1].LogID)
		sizes.Purge(o.purged)
	}
	at := ConfigurationAt{LogID{1, 1}, c}
	s := State{
		HardState: HardState{Term: max(o.term, log.last.Term), Cluster: worldCluster},
		Commit:    o.commit, Purged: log.purged, Last: log.last, Terms: log.runs, Sizes: sizes,
	}
	if o.purged > 0 {
		s.Snapshot = SnapshotMeta{LogID: log.purged, Cluster: worldCluster, Configuration: at}
	} else {
		s.Configurations = []ConfigurationAt{at}
	}
	if applied := max(o.applied, o.purged); applied > 0 {
		s.Applied = entries[applied-1].LogID
	}
	return s
}

func command(id LogID) Entry {
	return Entry{LogID: id, Kind: EntryCommand, Data: []byte("e" + id.String())}
}

func commands(ids ...LogID) []Entry {
	var entries []Entry
	for _, id := range ids {
		entries = append(entries, command(id))
	}
	return entries
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	return newRigOf(t, rigState(o), o.configure)
}

func newRigOf(t *testing.T, s State, configure func(c *Config)) *rig {
	t.Helper()
	cfg := testConfig(rigPeers[0])
	if configure != nil {
		configure(&cfg)
	}
	r := &rig{t: t, now: Instant(time.Hour)}
	e, err := NewEngine(cfg, s, r.now)
	if err != nil {
		t.Fatal(err)
	}
	r.e = e
	r.e.Start(r.now, &r.out)
	r.check()
	return r
}

func (r *rig) check() {
	r.t.Helper()
	r.last = slices.Clone(r.out.Commands)
	if err := r.e.CheckInvariants(); err != nil {
		r.t.Fatal(err)
	}
}

// step carries out an event and returns the lines of its commands.
func (r *rig) step(ev Event) []string {
	r.t.Helper()
	r.out.Reset()
	mayWait := mayWait(r.e, ev)
	r.e.Step(r.now, ev, &r.out)
	if err := checkWaited(r.e, ev, mayWait, &r.out); err != nil {
		r.t.Error(err)
	}
	r.check()
	return r.lines()
}

// mayWait reports whether a notice could as well have come later, with the next
// event of another kind.
func mayWait(e *Engine, ev Event) bool {
	switch ev := ev.(type) {
	case *Flushed:
		return !e.WaitsForFlush()
	case *Matched:
		return ev.Match <= e.commit && !e.WaitsForMatches()
	case *Applied:
		return true
	}
	return false
}

// checkWaited returns an error if a notice that could wait has changed more than
// numbers. A snapshot that is due may wait too, and so may a purge.
func checkWaited(e *Engine, ev Event, mayWait bool, out *Output) error {
	for _, c := range out.Commands {
		if mayWait && !dueLater(c) {
			return fmt.Errorf("node %d: %T could wait, it was said, and the engine wants %T", e.cfg.Self.ID, ev, c)
		}
	}
	return nil
}

// dueLater reports whether a command may as well come with a later event.
func dueLater(c Command) bool {
	switch c := c.(type) {
	case *BuildSnapshot:
		return true
	case *Notice:
		return c.Kind == NoticeLogLetGo
	case *Write:
		return c.Purge.Index != 0 && !c.SaveHardState && len(c.Append) == 0 && len(c.Then) == 0 && c.TruncateFrom == 0 && c.Reset.Index == 0
	}
	return false
}

func (r *rig) lines() []string {
	lines := make([]string, len(r.last))
	for i, c := range r.last {
		lines[i] = printCommand(c, r.now)
	}
	return lines
}

// from addresses a message of a peer to the rig's engine.
func (r *rig) from(id NodeID, term Term, m Message) []string {
	r.t.Helper()
	return r.step(r.address(id, term, m))
}

func (r *rig) address(id NodeID, term Term, m Message) Message {
	*m.Head() = Header{Group: 1, Cluster: worldCluster, From: rigPeers[id-1], To: r.e.cfg.Self, Term: term}
	return m
}

// expect compares the commands of a step with lines. Whether the election timer
// has to be armed anew depends on what was drawn, and is left out.
func (r *rig) expect(got []string, want ...string) {
	r.t.Helper()
	armed := func(line string) bool { return line == "arm election" }
	got, want = slices.DeleteFunc(got, armed), slices.DeleteFunc(want, armed)
	if !slices.Equal(got, want) {
		r.t.Errorf("commands\n  %q\nwant\n  %q", got, want)
	}
}

// find returns the first command of type C of the last step.
func find[C Command](r *rig) (c C, ok bool) {
	for _, command := range r.last {
		if c, ok = command.(C); ok {
			return c, true
		}
	}
	return c, false
}

// sent returns the first message of type M that the last step sent at once.
func sent[M Message](r *rig) (m M, ok bool) {
	for _, command := range r.last {
		if s, is := command.(*Send); is {
			if m, ok = s.Message.(M); ok {
				return m, true
			}
		}
	}
	return m, false
}

// fire lets a timer come due, at its deadline unless it is over already.
func (r *rig) fire(timer Timer) []string {
	r.t.Helper()
	d := &r.e.electionTimer
	switch timer {
	case TimerHeartbeat:
		d = &r.e.heartbeatTimer
	case TimerForming:
		d = &r.e.forming.timer
	case TimerTransfer:
		d = &r.e.transferTimer
	case TimerChange:
		d = &r.e.changes.timer
	case TimerSnapshot:
		d = &r.e.snapshots.again
	case TimerSnapshotInterval:
		d = &r.e.snapshots.interval
	}
	if d.armed == 0 {
		r.t.Fatalf("the %v timer is not armed", timer)
	}
	r.now = max(r.now, d.at)
	d.armed = d.at // the clock fires at the time that was asked for last
	return r.step(&TimerFired{timer, d.generation})
}

// flush makes all that was submitted durable.
func (r *rig) flush() []string {
	r.t.Helper()
	return r.step(&Flushed{r.e.writes.next})
}

// preCampaign brings the engine to where it asks for pre-votes.
func (r *rig) preCampaign() *rig {
	r.t.Helper()
	r.now = max(r.now, r.e.promise.until)
	r.fire(TimerElection)
	return r
}

// campaign brings it to where it asks for votes, the own one being durable.
func (r *rig) campaign() *rig {
	r.t.Helper()
	r.preCampaign()
	for id := NodeID(2); r.e.role == RolePreCandidate; id++ {
		r.from(id, r.e.hard.Term, &VoteResponse{Pre: true, ElectionTerm: r.e.hard.Term + 1, Campaign: r.e.election.campaign, Granted: true})
	}
	if r.e.role == RoleCandidate {
		r.flush()
	}
	return r
}

// elect makes it the leader. Its blank entry is not flushed.
func (r *rig) elect() *rig {
	r.t.Helper()
	r.campaign()
	for id := NodeID(2); r.e.role == RoleCandidate; id++ {
		r.from(id, r.e.hard.Term, &VoteResponse{ElectionTerm: r.e.hard.Term, Campaign: r.e.election.campaign, Granted: true})
	}
	if r.e.role != RoleLeader {
		r.t.Fatalf("a %v after an election", r.e.role)
	}
	return r
}

// lead makes it the leader, with its first entry committed and applied.
func (r *rig) lead() *rig {
	r.t.Helper()
	r.elect()
	r.flush()
	for id := NodeID(2); r.e.commit < r.e.log.last.Index; id++ {
		r.match(id, r.e.log.last.Index)
	}
	r.apply()
	return r
}

func (r *rig) apply() {
	r.t.Helper()
	term, _ := r.e.log.term(r.e.issued.apply)
	r.step(&Applied{LogID{term, r.e.issued.apply}})
}

// match reports the durable match of a peer.
func (r *rig) match(id NodeID, i Index) []string {
	r.t.Helper()
	p := r.e.leaderState.peer(rigPeers[id-1])
	if p == nil {
		r.t.Fatalf("node %d is no peer", id)
	}
	return r.step(&Matched{p.Identity, p.stream, i})
}

// follow lets node 2 lead a term, with a heartbeat.
func (r *rig) follow(term Term) *rig {
	r.t.Helper()
	r.from(2, term, &Heartbeat{Round: 1, Stream: 1})
	return r
}

// bootstrap asks for a cluster of nodes and lets the others grant it. It returns
// when the first entry is submitted.
func (r *rig) bootstrap(nodes ...NodeID) *Bootstrap {
	r.t.Helper()
	b := bootstrapOf(nodes...)
	if r.step(b); b.Err != nil {
		return b
	}
	for _, id := range nodes {
		if id != r.e.cfg.Self.ID {
			r.grants(id)
		}
	}
	r.flush()
	return b
}

func bootstrapOf(nodes ...NodeID) *Bootstrap {
	b := &Bootstrap{Cluster: worldCluster, AskLimit: 10 * time.Second}
	for _, id := range nodes {
		b.Members = append(b.Members, membership.Member{Identity: worldIdentity(id)})
	}
	return b
}

// grants lets a node grant the attempt under way.
func (r *rig) grants(id NodeID) []string {
	r.t.Helper()
	return r.identified(id, &IdentifyResponse{Empty: true, Granted: true})
}

// identified answers the attempt under way, as a node without a cluster does.
func (r *rig) identified(id NodeID, m *IdentifyResponse) []string {
	r.t.Helper()
	r.address(id, 0, m)
	m.Cluster, m.Attempt, m.ID = ClusterID{}, r.e.forming.attempt, r.e.forming.identify
	return r.step(m)
}

// propose returns what became of commands.
func (r *rig) propose(data ...string) *Propose {
	r.t.Helper()
	p := &Propose{Time: 5}
	for _, d := range data {
		p.Entries = append(p.Entries, Entry{Kind: EntryCommand, Data: []byte(d)})
	}
	r.step(p)
	return p
}

// ask lets a node ask this one, a member of nothing, for the grant of an attempt.
func (r *rig) ask(id NodeID, attempt uint64, millis uint32) []string {
	r.t.Helper()
	m := &IdentifyRequest{ID: attempt, Attempt: attempt, LengthMillis: millis, List: membership.FoundingOf(bootstrapOf(1, 2, 3).Members)}
	*m.Head() = Header{Group: 1, From: worldIdentity(id), To: Identity{ID: r.e.cfg.Self.ID}}
	return r.step(m)
}
