package core

import "fmt"

// ContradictionError: this node has heard from a member, who had proved to be
// one, what no correct member can say. Somebody has lost or forged acknowledged
// data, and nobody knows who: until it is restarted the node answers no reads.
// If its own data is in doubt the way back is an empty directory: the node is
// another incarnation then, which has to replace this one.
type ContradictionError struct{ Text string }

// Error implements error. It says the way back.
func (e *ContradictionError) Error() string {
	return fmt.Sprintf("troupe: this node has seen a contradiction and answers no reads until it is restarted: %s; "+
		"if its own data is the wrong one, the way back is an empty directory", e.Text)
}

// contradicted is the end of all reads here, those under way included: what it
// holds may not be what was acknowledged.
func (e *Engine) contradicted(n *Notice) {
	if e.contradiction != nil {
		return
	}
	e.contradiction = &ContradictionError{Text: fmt.Sprintf("node %v in term %d: %s", n.Peer, n.Term, n.Text)}
	r := &e.reads
	e.failLeaderReads()
	for _, h := range r.held {
		e.refuseRead(h.id)
	}
	for _, a := range r.asked {
		e.refuseRead(a.id)
	}
	for _, id := range r.failing {
		e.refuseRead(id)
	}
	r.held, r.asked, r.failing = nil, nil, nil
}

func (e *Engine) refuseRead(id uint64) {
	e.out.add(&ReadFailed{ID: id, Err: e.contradiction})
}
