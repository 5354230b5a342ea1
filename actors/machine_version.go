package actors

import (
	"github.com/trouperaft/troupe/core"
)

// This file is about entries that need a later version of the state machine than this
// node's has. Nothing is applied from there on; the log goes on.

// ofVersion returns the first entries that the machine can apply. If it can apply none,
// that is so for good.
func (a *applyActor) ofVersion(entries []core.Entry) []core.Entry {
	for i := range entries {
		needs := entries[i].Version
		switch {
		case needs <= a.version:
		case i > 0:
			return entries[:i:i]
		default:
			a.tooOld = &core.VersionError{Needs: needs, Have: a.version, Index: entries[i].Index}
			a.core.put(&core.MachineTooOld{Index: entries[i].Index, Needs: needs})
			a.endBehindVersion()
			return nil
		}
	}
	return entries
}

// endBehindVersion ends those who wait for what will not be applied here.
func (a *applyActor) endBehindVersion() {
	for i := range a.pending {
		for s := &a.pending[i]; !s.proposals.empty(); {
			id, p := s.next()
			a.decide(p, id, nil, &core.UnknownOutcomeError{Cause: a.tooOld})
		}
	}
	clear(a.pending)
	a.pending = a.pending[:0]
	a.answer()
	reads := a.reads
	a.reads = nil
	for _, b := range reads {
		for r := b.reads.pop(); r != nil; r = b.reads.pop() {
			a.underWay.finish(r, stageApply, 0, a.tooOld)
		}
	}
}
