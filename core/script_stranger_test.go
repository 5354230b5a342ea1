package core_test

import (
	"fmt"
	"strings"

	. "github.com/trouperaft/troupe/core"
)

// scriptStranger lets somebody speak who has proved nothing: under the identity of
// a member if there is one of that id, and with all the numbers right.
func (w *world) scriptStranger(a scriptArgs) error {
	from, to, ok := strings.Cut(a.words[0], "->")
	if !ok || len(a.words) != 2 {
		return fmt.Errorf("want a link and a kind of message")
	}
	n, id := w.nodes[NodeID(scriptNumber(to))], Identity{ID: NodeID(scriptNumber(from)), Incarnation: 0x99}
	if member := w.nodes[id.ID]; member != nil {
		id = member.id
	}
	m := Unproved(n.engine, id, a.words[1])
	if m == nil {
		return fmt.Errorf("no kind of message: %s", a.words[1])
	}
	*m.Head() = Header{Group: n.cfg.Group, From: id, To: n.id, Term: Term(scriptNumber(a.keys["term"]))}
	w.printf("%d->%d unproved: %s", id.ID, n.id.ID, PrintMessage(m))
	n.receive(m)
	return nil
}
