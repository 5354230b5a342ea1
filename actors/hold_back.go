package actors

// holdBack says why the proposals that wait are not tried now. Who was refused is
// not tried again at once: something has to change first, or a heartbeat interval to
// pass.
type holdBack struct {
	// noRoom: the engine had no room for more, or could not take any.
	noRoom bool
	// turnedDown: the leader would not have them, or could not be reached.
	turnedDown bool
}

// appends reports whether the engine may be tried, forwards whether the leader may.
func (h *holdBack) appends() bool  { return !h.noRoom }
func (h *holdBack) forwards() bool { return !h.noRoom && !h.turnedDown }

// progress: something urgent has happened, which may have made room.
func (h *holdBack) progress() { h.noRoom = false }

// newLeader: whom they wait for has changed, or its term.
func (h *holdBack) newLeader() { h.turnedDown = false }

// retry: the time has come to try again.
func (h *holdBack) retry() { *h = holdBack{} }

// holds reports whether anything is held back.
func (h *holdBack) holds() bool { return h.noRoom || h.turnedDown }
