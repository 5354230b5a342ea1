package core

import (
	"slices"

	"github.com/trouperaft/troupe/membership"
)

// configurations are those that the log holds and the one before, in order. The
// latest is in force as soon as it is appended; a truncation takes it back
// (rules 20, 23).
type configurations struct{ at []ConfigurationAt }

func (c *configurations) start(s *State) {
	c.at = append(c.at, ConfigurationAt{})
	for _, meta := range []*SnapshotMeta{&s.Snapshot, &s.Record} {
		if meta.Configuration.Index > 0 && meta.Index >= s.Purged.Index && c.at[0].Index == 0 && !s.logTells(&meta.Configuration) {
			c.at[0] = meta.Configuration
		}
	}
	for _, at := range s.Configurations {
		if at.Index > c.at[len(c.at)-1].Index {
			c.at = append(c.at, at)
		}
	}
}

// logTells reports whether the log has a configuration itself, and perhaps older ones: a
// machine that holds less than the snapshot or record needs these.
func (s *State) logTells(c *ConfigurationAt) bool {
	return slices.ContainsFunc(s.Configurations, func(at ConfigurationAt) bool { return at.Index == c.Index })
}

// begin lets the known ones begin with that of a snapshot: what is behind it stays.
func (c *configurations) begin(at ConfigurationAt) {
	i := 0
	for i < len(c.at) && c.at[i].Index <= at.Index {
		i++
	}
	c.at = slices.Insert(slices.Delete(c.at, 0, i), 0, at)
}

func (c *configurations) latest() *ConfigurationAt { return &c.at[len(c.at)-1] }

// inForce returns the configuration in force at index i.
func (c *configurations) inForce(i Index) *ConfigurationAt { return &c.at[c.position(i)] }

func (c *configurations) position(i Index) int {
	p := len(c.at) - 1
	for p > 0 && c.at[p].Index > i {
		p--
	}
	return p
}

// member looks id up in every configuration that may decide: the last one known
// to be committed and all later ones.
func (c *configurations) member(id Identity, commit Index) (membership.Member, bool) {
	for i := len(c.at) - 1; i >= c.position(commit); i-- {
		if m, ok := c.at[i].Configuration.Member(id); ok {
			return m, true
		}
	}
	return membership.Member{}, false
}

// knows reports whether node is a member, under any incarnation, of a configuration
// that may decide.
func (c *configurations) knows(node NodeID, commit Index) bool {
	for i := c.position(commit); i < len(c.at); i++ {
		if len(c.at[i].Configuration.Incarnations(node)) > 0 {
			return true
		}
	}
	return false
}

// everHad reports whether id is a member of any configuration that is remembered,
// those included that decide nothing any more.
func (c *configurations) everHad(id Identity) bool {
	return slices.ContainsFunc(c.at, func(at ConfigurationAt) bool {
		_, member := at.Configuration.Member(id)
		return member
	})
}

// everySoleVoter reports whether id alone decides in every known configuration.
func (c *configurations) everySoleVoter(id Identity) bool {
	known := false
	for i := range c.at {
		if c.at[i].Configuration.IsZero() {
			continue
		}
		if !c.at[i].Configuration.IsSoleVoter(id) {
			return false
		}
		known = true
	}
	return known
}

// truncate takes back what was appended from i on, and reports whether that
// changed the one in force.
func (c *configurations) truncate(i Index) bool {
	n := len(c.at)
	for n > 1 && c.at[n-1].Index >= i {
		n--
	}
	changed := n < len(c.at)
	c.at = c.at[:n]
	return changed
}

// forget drops what lies before the configuration in force at i.
func (c *configurations) forget(i Index) { c.at = slices.Delete(c.at, 0, c.position(i)) }

// voterSince carries out rule 20: whether id votes, in either half, in the
// latest configuration or in any since and including the one committed last.
func (c *configurations) voterSince(id Identity, commit Index) bool {
	for i := c.position(commit); i < len(c.at); i++ {
		if c.at[i].Configuration.IsVoter(id) {
			return true
		}
	}
	return false
}

// bootstrapping reports whether the wanted set of a bootstrap is still to be
// reached, by what is committed or by what may yet be taken back (rule 19).
func (c *configurations) bootstrapping(commit Index) bool {
	for i := c.position(commit); i < len(c.at); i++ {
		if c.at[i].Configuration.Target.IsFounding() {
			return true
		}
	}
	return false
}

// ConfigurationAt returns the configuration in force at an index that is not
// below the newest snapshot or record.
func (e *Engine) ConfigurationAt(i Index) ConfigurationAt { return *e.configs.inForce(i) }

// RecordOf returns the configuration in force at an entry that the state machine has made
// durable, for a record of that. It reports false if none is to be made: the log was reset
// meanwhile, or what told the configuration is lost.
func (e *Engine) RecordOf(id LogID) (ConfigurationAt, bool) {
	if id.Index <= e.snapshots.base.Index || !e.log.holds(id) {
		return ConfigurationAt{}, false
	}
	at := e.ConfigurationAt(id.Index)
	return at, at.Index > 0
}

// takeConfigurations puts the configurations among newly appended entries in
// force.
func (e *Engine) takeConfigurations(entries []Entry) {
	changed := false
	for i := range entries {
		if entries[i].Kind != EntryConfiguration {
			continue
		}
		configuration, err := membership.Decode(entries[i].Data)
		if err != nil {
			panic("core: a configuration entry that cannot be decoded: " + err.Error())
		}
		e.configs.at = append(e.configs.at, ConfigurationAt{entries[i].LogID, configuration})
		changed = true
	}
	if changed {
		e.configurationChanged()
	}
}

// configurationChanged re-evaluates all that depends on the one in force
// (rule 23).
func (e *Engine) configurationChanged() {
	e.tellConfiguration()
	e.takeStanding()
	e.noteRemoved()
	switch e.role {
	case RoleLeader:
		e.syncPeers()
		e.checkTransferTarget()
		// Rule 26: by the configuration in force now. A smaller quorum may have answered.
		e.confirmReads()
	case RoleFollower, RoleLearner, RoleNone:
		e.role = e.idleRole()
		if e.electionTimer.at == 0 {
			e.resetElectionTimer()
		}
	case RoleCandidate, RolePreCandidate:
		e.becomeFollower(e.hard.Term, Identity{}, "")
	}
}

func (e *Engine) tellConfiguration() {
	e.out.add(&ConfigurationChanged{At: *e.configs.latest()})
}
