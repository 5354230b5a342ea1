package simulation

func init() { mutants = append(mutants, snapshotMutants...) }

// snapshotMutants are those of snapshots, of what the log keeps, and of the versions of
// machines.
var snapshotMutants = []mutant{
	{
		"a snapshot over a newer log", "rule 24", "core/snapshot.go",
		"return (id.Index <= e.commit || e.log.holds(id)) && !e.machineNeeds(id)",
		"return id.Index <= e.commit && !e.machineNeeds(id)",
		"./core TestSnapshotOfHeldEntry",
	},
	{
		"the members of a snapshot ignored", "rule 24", "core/snapshot.go",
		"e.configs.at = append(e.configs.at[:0], m.Configuration)",
		"e.configs.at = e.configs.at[:1]",
		"./core TestSnapshotBringsItsMembers",
	},
	{
		"a snapshot restored before its reset is durable", "rule 24", "core/snapshot.go",
		"s.resetIOID = e.submit(w)",
		"e.submit(w)\n\te.out.add(&InstallSnapshot{m})",
		"./core TestInstall",
	},
	{
		"a log reset where only the machine is lost", "rule 24", "core/snapshot.go",
		"e.restoreMachine(ev)",
		"e.resetTo(&ev.Meta)",
		"./core TestMachineIsLost",
	},
	{
		"a machine restored before its log is durable", "rule 24", "core/machine_lost.go",
		"s.resetIOID = e.submit(w)",
		"e.submit(w)\n\te.out.add(&InstallSnapshot{m})",
		"./core TestMachineIsLost",
	},
	{
		"a machine that is lost and campaigns", "rule 24", "core/health.go",
		"case e.snapshots.lacks, e.catchingUp()",
		"case e.catchingUp()",
		"./core TestLostMachineCampaignsLast",
	},
	{
		"who has lost what told its members goes on", "rule 24", "core/machine_lost.go",
		"e.snapshots.lacks, e.kept = true, s.Peers",
		"e.kept = s.Peers",
		"./core TestLostConfiguration",
	},
	{
		"a record of what nothing tells the configuration of", "rule 24", "core/configurations.go",
		"return at, at.Index > 0",
		"return at, true",
		"./core TestLostConfigurationIsInTheLog",
	},
	{
		"a snapshot of what nothing tells the time of", "rule 24", "actors/views.go",
		"(a.undated || a.config.Index == 0)",
		"a.undated && a.config.Index == 0",
		"./actors TestNothingIsMadeOfWhatIsUnknown",
	},
	{
		"a lost configuration taken for none", "rule 13", "core/machine_lost.go",
		"return !e.unknownConfiguration() && e.configs.everySoleVoter(e.cfg.Self)",
		"return e.configs.everySoleVoter(e.cfg.Self)",
		"./core TestLostConfigurationAlone",
	},
	{
		"who has lost what told its members shows itself to nobody", "rule 30", "core/election_deadline.go",
		"return (!c.IsZero() || len(e.kept) > 0) && ",
		"return !c.IsZero() && ",
		"./core TestLostNodeShowsItself",
	},
	{
		"a transfer that broke begun anew", "rule 25", "core/snapshot.go",
		"p.partial = ev.LogID",
		"p.partial = LogID{}",
		"./core TestBrokenTransferGoesOn",
	},
	{
		"a snapshot that is gone before its turn is a failure", "rule 25", "actors/snapshots/sender.go",
		"case errors.Is(err, storage.ErrNotFound):",
		"case false:",
		"./actors/snapshots TestSnapshotIsGone",
	},
	{
		"a pause after a failure that each snapshot begins anew", "rule 25", "actors/snapshots/trouble.go",
		"return t.until.Sub(now)",
		"return t.pause",
		"./actors/snapshots TestSnapshotIsGone",
	},
	{
		"purge beyond the snapshot", "Raft 7", "core/purge.go",
		"return min(newest, max(upTo, e.purging.byHand))",
		"return max(upTo, newest+1)",
		bySeeds,
	},
	{
		"purge beyond the record", "rule 8", "core/purge.go",
		"return min(s.base.Index, has)",
		"return max(s.base.Index, has)",
		bySeeds,
	},
	{
		"a record ahead of the durable machine", "rule 8", "actors/records.go",
		"made.id, err = a.machine.Applied()",
		"made.id = applied.LogID",
		bySeeds,
	},
	{
		"a purge before the machine has come to the record", "rule 8", "core/record.go",
		"holds := state.Applied.Index >= r.Index",
		"holds := true",
		"./core TestRecordOfALostMachine",
	},
	{
		"records that pass a snapshot which somebody waits for", "rule 25", "core/snapshot_policy.go",
		"e.keepForWaiting()",
		"_ = s",
		"./core TestRecordsPassNoSnapshotThatIsWaitedFor",
	},
	{
		"the retained log dropped under a transfer", "rule 25", "core/purge.go",
		"upTo := min(policy, e.lowestHold(policy, bytesMax, why))",
		"upTo := max(policy, e.lowestHold(policy, bytesMax, why))",
		"./core TestRetainedLogWhileATransferMoves",
	},
	{
		"a transfer resumed on another content", "rule 25", "actors/snapshots/receiver.go",
		"return a.LogID == b.LogID && a.SizeBytes == b.SizeBytes && a.Checksum == b.Checksum",
		"return a.LogID == b.LogID",
		"./actors/snapshots TestTransferResumesOnTheSameSnapshot",
	},
	{
		"an entry left out for who follows the log", "Raft.Entries", "actors/follow_log.go",
		"f.next = entries[n-1].Index + 1",
		"f.next = entries[n-1].Index + 2",
		bySeeds,
	},
	{
		"a purge answered before it is durable", "Raft.Purge", "core/purge.go",
		"if n := e.purging.wrote; !e.writes.over(n) {",
		"if n := e.purging.wrote; n != 0 && e.log.last.Index == 0 {",
		bySeeds,
	},
	{
		"applied before it is durable here", "rule 8", "core/engine.go",
		"return min(e.commit, e.writes.flushed)",
		"return e.commit",
		bySeeds,
	},
	{
		"a restore that a crash interrupted forgotten", "rule 24", "core/snapshot.go",
		"case s.restoreAtStart:",
		"case s.restoreAtStart && s.lacks:",
		"./actors TestCrashAtEveryStep",
	},
	{
		"an entry of a later version applied", "Entry.Version", "actors/machine_version.go",
		"case needs <= a.version:",
		"case needs < 1<<63:",
		"./ TestVersionUsedTooEarly",
	},
	{
		"a machine that is too old and campaigns", "rule 16", "core/health.go",
		"case e.health.tooOld.Needs > 0:",
		"case e.health.tooOld.Needs > 1<<62:",
		"./core TestTooOldMachineGoesOnVoting",
	},
	{
		"a snapshot of a later version taken", "SnapshotMeta.Version", "core/snapshot.go",
		"case m.Meta.Version > e.cfg.MachineVersion:",
		"case m.Meta.Version > 1<<62:",
		"./core TestSnapshotOfALaterVersion",
	},
	{
		"a version that is forgotten on the disk", "Entry.Version", "storage/badger/chunk.go",
		"e.Version, body = version, body[n:]",
		"_, body = version, body[n:]",
		"./storage/badger TestFirstChunkWithVersionsIsRead",
	},
}
