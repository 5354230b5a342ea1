package troupe

import "time"

// hurry lets the group wait for no call that is out, and answers who waits.
func (r *Raft) hurry() {
	r.group.Abandon()
	// Most calls are over by then, and Done is closed.
	r.giveUp.Do(func() { time.AfterFunc(answerGrace, func() { close(r.givenUp) }) })
}

// hung is closed when the group was abandoned and has not ended since.
func (r *Raft) hung() <-chan struct{} { return r.givenUp }

// hurry is that of all groups of a node that stops.
func (n *Node) hurry() {
	n.mu.Lock()
	var groups []*Raft
	for _, r := range n.ending {
		if r.group != nil {
			groups = append(groups, r)
		}
	}
	n.mu.Unlock()
	for _, r := range groups {
		r.hurry()
	}
	n.actors.Abandon()
}

// claim makes the group's id raft's own, so that the actors of a group never run twice
// over one state machine and one log (rule 28).
func (n *Node) claim(raft *Raft) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.groups == nil {
		return ErrStopped
	}
	if other := n.groups[raft.config.Group]; other != nil {
		if err := other.inTheWay(); err != nil {
			return err
		}
	}
	n.groups[raft.config.Group] = raft
	return nil
}

// inTheWay is why another handle of the same group cannot be made, nil if this one is
// over. The node's lock is held.
func (r *Raft) inTheWay() error {
	if r.group == nil {
		return &GroupExistsError{Group: r.config.Group} // it is being started
	}
	select {
	case <-r.group.Done():
		return nil
	default:
	}
	if r.group.Ending() {
		return r.group.StillRunning()
	}
	return &GroupExistsError{Group: r.config.Group}
}

// release gives the id of a group up.
func (n *Node) release(raft *Raft) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.groups[raft.config.Group] == raft {
		delete(n.groups, raft.config.Group)
	}
}
