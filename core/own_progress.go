package core

import "time"

// ownProgress is for how long a leader's own disk and state machine have stood
// still while others went on (rule 16).
type ownProgress struct {
	// diskBehind is since when the disk has not reached diskMark, machineBehind since
	// when the machine has stood at machineAt; 0 if neither.
	diskBehind    Instant
	diskMark      Index
	machineBehind Instant
	machineAt     Index
}

// note takes how far disk and machine are at now. behind: a voter has applied more.
func (p *ownProgress) note(now Instant, flushed, applied, commit Index, behind bool) {
	if flushed >= p.diskMark {
		// It moves: a disk that is merely slower than the others' is not hung.
		p.diskBehind, p.diskMark = 0, commit
		if flushed < commit {
			p.diskBehind = now
		}
	}
	if applied != p.machineAt || !behind {
		p.machineAt, p.machineBehind = applied, 0
	} else if p.machineBehind == 0 {
		p.machineBehind = now
	}
}

// diskHung and machineHung report whether one has stood still for longer than a
// limit.
func (p *ownProgress) diskHung(now Instant, limit time.Duration) bool {
	return p.diskBehind != 0 && now.Sub(p.diskBehind) > limit
}

func (p *ownProgress) machineHung(now Instant, limit time.Duration) bool {
	return p.machineBehind != 0 && now.Sub(p.machineBehind) > limit
}
