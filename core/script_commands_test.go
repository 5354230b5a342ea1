package core_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

func (w *world) scriptNodes(a scriptArgs) error {
	for id := NodeID(1); id <= NodeID(scriptNumber(a.words[0])); id++ {
		cfg := TestConfig(WorldIdentity(id))
		cfg.HoldBytesMax = 0
		for k, v := range a.keys {
			switch k {
			case "quiet-period":
				cfg.QuietPeriod = scriptDuration(v)
			case "snapshot":
				cfg.SnapshotEntries = scriptNumber(v)
			case "keep":
				cfg.KeepEntries = scriptNumber(v)
			case "hold":
				cfg.HoldBytesMax = scriptNumber(v)
			case "uncommitted":
				cfg.UncommittedBytesMax = int(scriptNumber(v))
			case "volatile":
				cfg.Volatile = v == "yes"
			case "window":
				w.limits.InflightMessagesMax = int(scriptNumber(v))
			case "entries":
				w.limits.EntriesPerMessageMax = int(scriptNumber(v))
			case "learners", "priorities", "empty", "voters", "outgoing":
			default:
				return fmt.Errorf("no option %s", k)
			}
		}
		w.addNode(id, cfg)
	}
	return nil
}

func (w *world) scriptCluster(a scriptArgs) error {
	if err := w.scriptNodes(a); err != nil {
		return err
	}
	learners := 0
	if n, ok := a.keys["learners"]; ok {
		learners = int(scriptNumber(n))
	}
	var priorities []string
	if list, ok := a.keys["priorities"]; ok {
		priorities = strings.Split(list, ",")
	}
	var c membership.Configuration
	empty := 0
	if n, ok := a.keys["empty"]; ok {
		empty = int(scriptNumber(n))
	}
	ids := w.ids()
	ids = ids[:len(ids)-empty]
	for i, id := range ids {
		m := membership.Member{Identity: WorldIdentity(id)}
		if i < len(priorities) {
			m.Priority = uint32(scriptNumber(priorities[i]))
		}
		if empty > 0 {
			m.Address = fmt.Sprintf("n%d:1", id)
		}
		if a.keys["voters"] == "" && int(id) <= len(ids)-learners {
			c.Voters = append(c.Voters, WorldIdentity(id))
		}
		c.Members = append(c.Members, m)
	}
	c.Voters = append(c.Voters, scriptIdentities(a.keys["voters"])...)
	c.Outgoing = scriptIdentities(a.keys["outgoing"])
	first := Entry{LogID: LogID{1, 1}, Kind: EntryConfiguration, Data: c.Encode()}
	for _, id := range ids {
		n := w.nodes[id]
		n.disk = worldLog{hard: HardState{Term: 1, Cluster: WorldCluster}, commit: 1, entries: []Entry{first}}
	}
	return nil
}

// scriptIdentities reads a list such as "2,3,4".
func scriptIdentities(list string) []membership.Identity {
	var ids []membership.Identity
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' }) {
		ids = append(ids, WorldIdentity(NodeID(scriptNumber(word))))
	}
	return ids
}

func (w *world) scriptTerms(a scriptArgs) error {
	n := w.nodes[NodeID(scriptNumber(a.words[0]))]
	for _, word := range a.words[1:] {
		term := Term(scriptNumber(word))
		id := LogID{term, n.disk.last().Index + 1}
		n.disk.entries = append(n.disk.entries, Entry{LogID: id, Kind: EntryCommand, Data: []byte("e" + id.String())})
		n.disk.hard.Term = max(n.disk.hard.Term, term)
	}
	if term, ok := a.keys["term"]; ok {
		n.disk.hard.Term = Term(scriptNumber(term))
	}
	return nil
}

func (w *world) scriptStart(a scriptArgs) error {
	for _, id := range w.listed(a.words) {
		w.nodes[id].start()
	}
	return nil
}

func (w *world) scriptBootstrap(a scriptArgs) error {
	ids := w.listed(a.words)
	b := BootstrapOf(ids...)
	by := ids[0]
	for k, v := range a.keys {
		switch k {
		case "by":
			by = NodeID(scriptNumber(v))
		case "ask":
			b.AskLimit = scriptDuration(v)
		default:
			return fmt.Errorf("no such option: %s", k)
		}
	}
	for i := range b.Members {
		b.Members[i].Incarnation = 0
	}
	w.nodes[by].step(b)
	if b.Err != nil {
		w.printf("%d: %v", by, b.Err)
	}
	return nil
}

func (w *world) scriptPropose(a scriptArgs) error {
	n := w.nodes[NodeID(scriptNumber(a.words[0]))]
	p := &Propose{}
	for _, data := range a.words[1:] {
		p.Entries = append(p.Entries, Entry{Kind: EntryCommand, Data: []byte(data)})
	}
	n.step(p)
	if p.Err != nil {
		w.printf("%d: %d admitted: %v", n.id.ID, p.Admitted, p.Err)
	}
	return nil
}

func (w *world) scriptRead(a scriptArgs) error {
	n := w.nodes[NodeID(scriptNumber(a.words[0]))]
	n.reads++
	lease := len(a.words) > 1 && a.words[1] == "lease"
	w.printf("%d asks for read %d%s", n.id.ID, n.reads, map[bool]string{true: " by the lease"}[lease])
	n.step(&ReadRequest{ID: n.reads, Lease: lease})
	return nil
}

func (w *world) scriptCampaign(a scriptArgs) error {
	for _, id := range w.listed(a.words) {
		n := w.nodes[id]
		n.reads++
		w.printf("%d is asked to campaign", id)
		n.step(&Elect{n.reads})
	}
	return nil
}

func (w *world) scriptPause(a scriptArgs) error {
	w.nodes[NodeID(scriptNumber(a.words[0]))].step(&PauseElections{a.words[1] == "on"})
	return nil
}

func (w *world) scriptTransfer(a scriptArgs) error {
	n := w.nodes[NodeID(scriptNumber(a.words[0]))]
	to := NodeID(0)
	if word, ok := a.keys["to"]; ok {
		to = NodeID(scriptNumber(word))
	}
	n.reads++
	w.printf("%d is asked to transfer to %d", n.id.ID, to)
	n.step(&TransferLeadership{ID: n.reads, To: to, ByHand: true})
	return nil
}

func (n *worldNode) printLease() {
	if left := n.engine.Readable().Lease.Sub(n.now); left > 0 {
		n.w.printf("%d holds the lease for another %v, commit %d", n.id.ID, left, n.engine.Readable().Commit)
	} else if why := n.engine.WhyNoLease(); why != "" {
		n.w.printf("%d has no lease: %s", n.id.ID, why)
	} else {
		n.w.printf("%d has no lease: it has run out", n.id.ID)
	}
}

func (n *worldNode) printLeading() {
	switch l := n.engine.Leading(); {
	case l.Term == 0:
		n.w.printf("%d: the application may not act", n.id.ID)
	case l.Until <= n.now:
		n.w.printf("%d: the application may act in T%d no more: the lease has run out", n.id.ID, l.Term)
	default:
		n.w.printf("%d: the application may act in T%d for another %v", n.id.ID, l.Term, l.Until.Sub(n.now))
	}
}

// renew tells a leader that what the application ran in this term has ended.
func (n *worldNode) renew() { n.step(&RenewTerm{n.engine.Hard().Term}) }

// timeAndNodes splits "[nodes] duration".
func (w *world) timeAndNodes(a scriptArgs) ([]NodeID, time.Duration) {
	last := len(a.words) - 1
	return w.listed(a.words[:last]), scriptDuration(a.words[last])
}

func (w *world) scriptAdvance(a scriptArgs) error {
	ids, d := w.timeAndNodes(a)
	w.advance(ids, d)
	return nil
}

func (w *world) scriptRun(a scriptArgs) error {
	ids, d := w.timeAndNodes(a)
	for w.stabilize(ids); d > 0; d -= 100 * time.Millisecond {
		w.advance(ids, 100*time.Millisecond)
		w.stabilize(ids)
	}
	return nil
}

func (w *world) scriptSleep(a scriptArgs) error {
	ids, d := w.timeAndNodes(a)
	for _, id := range ids {
		w.nodes[id].now = w.nodes[id].now.Add(d)
	}
	return nil
}

func (w *world) scriptTimeout(a scriptArgs) error {
	for _, id := range w.listed(a.words) {
		n := w.nodes[id]
		if n.engine.Deadline(TimerElection) == 0 {
			w.printf("%d has no election timer", id)
			continue
		}
		w.advance([]NodeID{id}, max(n.engine.Deadline(TimerElection).Sub(n.now), 0))
	}
	return nil
}

func (w *world) scriptExpire(a scriptArgs) error {
	for _, id := range w.listed(a.words) {
		n := w.nodes[id]
		n.now = max(n.now, n.engine.QuietUntil())
	}
	return nil
}

func (w *world) scriptElect(a scriptArgs) error {
	w.quiet = true
	id := NodeID(scriptNumber(a.words[0]))
	w.stabilize(w.ids())
	for _, n := range w.nodes {
		if n.up {
			n.now = max(n.now, n.engine.QuietUntil())
		}
	}
	if err := w.scriptTimeout(scriptArgs{words: a.words[:1]}); err != nil {
		return err
	}
	w.stabilize(w.ids())
	if w.nodes[id].engine.Role() != RoleLeader {
		return fmt.Errorf("node %d was not elected", id)
	}
	return nil
}

// scriptKinds are the names by which scripts pick messages.
var scriptKinds = map[string]func(Message) bool{
	"vote-request":     func(m Message) bool { _, ok := m.(*VoteRequest); return ok },
	"vote-answer":      func(m Message) bool { _, ok := m.(*VoteResponse); return ok },
	"heartbeat":        func(m Message) bool { _, ok := m.(*Heartbeat); return ok },
	"heartbeat-answer": func(m Message) bool { _, ok := m.(*HeartbeatResponse); return ok },
	"append":           func(m Message) bool { _, ok := m.(*AppendEntries); return ok },
	"append-answer":    func(m Message) bool { _, ok := m.(*AppendResponse); return ok },
	"snapshot":         func(m Message) bool { _, ok := m.(*SnapshotChunk); return ok },
	"snapshot-answer":  func(m Message) bool { _, ok := m.(*SnapshotResponse); return ok },
	"read-request":     func(m Message) bool { _, ok := m.(*ReadIndexRequest); return ok },
	"read-answer":      func(m Message) bool { _, ok := m.(*ReadIndexResponse); return ok },
	"identify":         func(m Message) bool { _, ok := m.(*IdentifyRequest); return ok },
	"identify-answer":  func(m Message) bool { _, ok := m.(*IdentifyResponse); return ok },
	"timeout-now":      func(m Message) bool { _, ok := m.(*TimeoutNow); return ok },
	"transfer-answer":  func(m Message) bool { _, ok := m.(*TransferResponse); return ok },
	"change":           func(m Message) bool { _, ok := m.(*ChangeRequest); return ok },
	"change-answer":    func(m Message) bool { _, ok := m.(*ChangeResponse); return ok },
	"removed":          func(m Message) bool { _, ok := m.(*Removed); return ok },
	"refusal":          func(m Message) bool { _, ok := m.(*Refusal); return ok },
}

// forLinks calls f for the links that "1->2" names, "*" being anybody.
func (w *world) forLinks(word string, f func(from, to NodeID)) {
	a, b, ok := strings.Cut(word, "->")
	if !ok {
		panic("not a link: " + word)
	}
	ends := func(word string) []NodeID {
		if word == "*" {
			return w.ids()
		}
		return w.listed([]string{word})
	}
	for _, from := range ends(a) {
		for _, to := range ends(b) {
			f(from, to)
		}
	}
}

func scriptPick(a scriptArgs) (match func(Message) bool, most int) {
	match, most = func(Message) bool { return true }, -1
	if len(a.words) > 1 {
		if match = scriptKinds[a.words[1]]; match == nil {
			panic("no kind of message: " + a.words[1])
		}
	}
	if n, ok := a.keys["n"]; ok {
		most = int(scriptNumber(n))
	}
	return match, most
}

func (w *world) scriptDeliver(a scriptArgs) error {
	match, most := scriptPick(a)
	w.forLinks(a.words[0], func(from, to NodeID) { w.deliver(from, to, match, most) })
	return nil
}

func (w *world) scriptDrop(a scriptArgs) error {
	match, most := scriptPick(a)
	w.forLinks(a.words[0], func(from, to NodeID) {
		link := worldLink{from, to}
		w.links[link] = slices.DeleteFunc(w.links[link], func(m Message) bool {
			drop := most != 0 && match(m)
			if drop {
				most--
				w.printf("%d->%d lost: %s", from, to, PrintMessage(m))
			}
			return drop
		})
	})
	return nil
}

func (w *world) scriptQueue(scriptArgs) error {
	for _, from := range w.ids() {
		for _, to := range w.ids() {
			for _, m := range w.links[worldLink{from, to}] {
				w.printf("%d->%d on the way: %s", from, to, PrintMessage(m))
			}
		}
	}
	return nil
}

func (w *world) scriptCopy(a scriptArgs) error {
	match, _ := scriptPick(a)
	found := false
	w.forLinks(a.words[0], func(from, to NodeID) {
		for _, m := range w.links[worldLink{from, to}] {
			if match(m) && !found {
				w.copies[a.keys["as"]], found = m, true
			}
		}
	})
	if !found {
		return fmt.Errorf("nothing to copy")
	}
	return nil
}

func (w *world) scriptInject(a scriptArgs) error {
	m := w.copies[a.words[0]]
	w.printf("%d->%d again: %s", m.Head().From.ID, m.Head().To.ID, PrintMessage(m))
	w.nodes[m.Head().To.ID].receive(m)
	return nil
}

func (w *world) scriptBreak(a scriptArgs) error {
	ids := w.listed(a.words)
	w.breakLink(ids[0], ids[1])
	return nil
}

func (w *world) scriptPartition(a scriptArgs) error {
	side := 1
	for _, word := range a.words {
		if word == "|" {
			side++
			continue
		}
		w.side[w.listed([]string{word})[0]] = side
	}
	for _, x := range w.ids() {
		for _, y := range w.ids() {
			if x < y && w.side[x] != w.side[y] {
				w.breakLink(x, y)
			}
		}
	}
	return nil
}

func (w *world) scriptHeal(scriptArgs) error {
	clear(w.side)
	return nil
}

func (w *world) scriptFlush(a scriptArgs) error {
	most := 1 << 30
	if n, ok := a.keys["n"]; ok {
		most = int(scriptNumber(n))
	}
	for _, id := range w.listed(a.words) {
		for i := 0; i < most && w.nodes[id].flush(); i++ {
		}
	}
	return nil
}

func (n *worldNode) wipe() {
	n.crash()
	n.disk, n.snapshot, n.machine, n.applied = worldLog{}, SnapshotMeta{}, nil, LogID{}
	n.id.Incarnation++
	n.cfg.Self = n.id
	n.start()
}

func (n *worldNode) printStatus() {
	if !n.up {
		n.w.printf("%d is down", n.id.ID)
		return
	}
	s := n.engine.Status()
	line := fmt.Sprintf("%d %v of T%d, leader %d, last %v, commit %d, applied %d, flushed %d, %v",
		n.id.ID, s.Role, s.Term, s.Leader, n.accepted.last(), s.Committed, s.Applied, s.Flushed, &s.Configuration.Configuration)
	if s.Purged > 0 {
		line += fmt.Sprintf(", purged %d", s.Purged)
	}
	if s.Bootstrapping {
		line += ", forming"
	}
	if s.TransferringTo != 0 {
		line += fmt.Sprintf(", transferring to %d", s.TransferringTo)
	}
	if s.NeedsNewTerm {
		line += ", needs a new term"
	}
	if s.ElectionsPaused {
		line += ", paused"
	}
	if s.Change.State != ChangeIdle && !s.Bootstrapping {
		line += fmt.Sprintf(", change %d %v", uint64(s.Change.ID), s.Change.State)
	}
	if s.Removed {
		line += ", removed"
	}
	if s.UnknownToGroup {
		line += ", unknown to its group"
	}
	n.w.printf("%s", line)
	for _, w := range s.WaitsFor {
		n.w.printf("  waits for %v", w)
	}
	for _, st := range n.sortedStreams() {
		messages, _ := st.Inflight()
		lost := ""
		for _, p := range s.Peers {
			if p.Identity == st.peer && p.LostData {
				lost = ", lost its data"
			}
		}
		n.w.printf("  ->%d %v, match %d, next %d, in flight %d%s", st.peer.ID, st.Mode(), st.Match(), st.Next(), messages, lost)
	}
}

func (n *worldNode) printLog() {
	print := func(l *worldLog) string {
		var b strings.Builder
		if l.purged.Index > 0 {
			fmt.Fprintf(&b, " (%v)", l.purged)
		}
		for i := range l.entries {
			fmt.Fprintf(&b, " %d", l.entries[i].Term)
		}
		return b.String()
	}
	accepted, disk := print(&n.accepted), print(&n.disk)
	if accepted == disk {
		n.w.printf("%d:%s", n.id.ID, accepted)
		return
	}
	n.w.printf("%d:%s; on the disk:%s", n.id.ID, accepted, disk)
}
