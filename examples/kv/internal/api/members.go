package api

// Members are the members of the cluster, as the asked node knows them. In the answer to a
// Change they are those that came of it, or those in force while it goes on.
type Members struct {
	// ChangeID names the change that goes on, in hexadecimal. It is there with status 202
	// only.
	ChangeID string `json:"change_id,omitempty"`
	// Index is the entry of the configuration, 0 before there is a cluster. Committed: that
	// entry is known to be committed.
	Index     uint64 `json:"index"`
	Committed bool   `json:"committed"`
	// Joint: two sets of voters decide together.
	Joint   bool            `json:"joint"`
	Change  ChangeState     `json:"change"`
	Members []ClusterMember `json:"members"`
	// Steps are the configurations that a Change with dry_run would append, in order.
	Steps []Step `json:"steps,omitempty"`
}

// Step is one configuration on the way of a change.
type Step struct {
	Joint   bool            `json:"joint"`
	Members []ClusterMember `json:"members"`
}

// ClusterMember is one node of the cluster. While a node that lost its data is being
// replaced, it may stand there twice.
type ClusterMember struct {
	ID uint64 `json:"id"`
	// Incarnation names the node's data, in hexadecimal: "0" while it is not known.
	Incarnation string `json:"incarnation"`
	Address     string `json:"address"`
	// Kind is voter or learner. Outgoing: a voter that votes no more when the change under
	// way is complete.
	Kind     string `json:"kind"`
	Outgoing bool   `json:"outgoing"`
	// Standby: a learner that may take the place of a voter; absent if not.
	Standby  bool              `json:"standby,omitempty"`
	Priority uint32            `json:"priority"`
	Tags     map[string]string `json:"tags"`
}

// The states of a change: nodes that are to come catch up, and it can be given up; the
// voters before and after it decide together, and it can only be finished; there is none.
const (
	ChangeCatchingUp = "catching_up"
	ChangeJoint      = "joint"
	ChangeNone       = "none"
)

// ChangeState is the change of the members that is under way, the forming of the cluster
// included.
type ChangeState struct {
	State string `json:"state"`
	// ID names it, in hexadecimal; absent for a forming, and if there is none.
	ID string `json:"id,omitempty"`
	// WaitsFor are the nodes that keep it, on other nodes than the leader the first 16 as of
	// its last heartbeat; status says why.
	WaitsFor []uint64 `json:"waits_for"`
	// SinceMillis is when it was asked for, in milliseconds since 1970 UTC on the clock of
	// the node that was asked; 0 if that is not known.
	SinceMillis int64 `json:"since_ms"`
	// Progress is that of the nodes that catch up, on the leader only.
	Progress []Progress `json:"progress"`
}

// Progress is how far a node has come that catches up.
type Progress struct {
	ID uint64 `json:"id"`
	// MatchIndex is the last entry that the node is known to have, and LagEntries is how
	// many it lacks, of LagBytes as far as the leader's log holds them. Percent is how much
	// it has of what it lacked, snapshots apart.
	MatchIndex uint64  `json:"match_index"`
	LagEntries uint64  `json:"lag_entries"`
	LagBytes   uint64  `json:"lag_bytes"`
	Percent    float64 `json:"percent"`
	// EntriesPerSecond is the rate so far, and RestMillis for how long it will take at
	// that rate, or the snapshot that is on its way; absent while nothing has come.
	EntriesPerSecond float64 `json:"entries_per_second"`
	RestMillis       *int64  `json:"rest_ms,omitempty"`
	// AgeMillis ago it began to catch up, and IdleMillis ago it last came nearer.
	AgeMillis  int64 `json:"age_ms"`
	IdleMillis int64 `json:"idle_ms"`
	// SnapshotBytes of SnapshotTotalBytes are there of a snapshot on its way.
	SnapshotBytes      uint64 `json:"snapshot_bytes,omitempty"`
	SnapshotTotalBytes uint64 `json:"snapshot_total_bytes,omitempty"`
}

// Change asks for other members. All changes are carried out as one. It is answered with
// 200 and the members that came of it, or with 202 and its change_id when time has run out
// and it goes on. The same may be asked again to wait for it.
type Change struct {
	Changes []MemberChange `json:"changes"`
	// ExpectedIndex refuses the change unless that is the index of the members in force,
	// and ExpectedTerm unless that is the term. 0 or absent expects nothing.
	ExpectedIndex uint64 `json:"expected_index,omitempty"`
	ExpectedTerm  uint64 `json:"expected_term,omitempty"`
	// DryRun changes nothing, and answers what would happen. Who answers, and who is alive,
	// is not looked at.
	DryRun bool `json:"dry_run,omitempty"`
	// Wait: answer when the change is complete, or time runs out: true if it is absent.
	// Otherwise answer as soon as the leader has taken it.
	Wait *bool `json:"wait,omitempty"`
	// CatchUpLimit is for how long a node that is to come may make no progress, or be
	// silent, until the change is given up: "30s" if it is absent, "0s" for ever.
	CatchUpLimit string `json:"catch_up_limit,omitempty"`
}

// MemberChange is one thing that is to be done. An op takes the fields that are named with
// it, and no others:
//
//	add, add_learner   id, address
//	promote, demote    id
//	remove             id, keep_as_learner
//	replace            id, incarnation, address, force: all but the id may be absent
//	set_address        id, address
//	set_priority       id, priority: 1 to 1000, or 0 for the normal one
//	set_tags           id, tags, in the place of all that there are
//	set_standby        id, standby: of a learner, for the autopilot
//	set_voters         members: the ids of all voters; keep_as_learner
type MemberChange struct {
	Op string `json:"op"`
	ID uint64 `json:"id,omitempty"`
	// Incarnation of a replace is who takes the member's place, in hexadecimal. It is for
	// when several answer under the id.
	Incarnation string  `json:"incarnation,omitempty"`
	Address     string  `json:"address,omitempty"`
	Priority    *uint32 `json:"priority,omitempty"`
	// Tags that are null are absent; {} are none.
	Tags    *map[string]string `json:"tags,omitempty"`
	Members []uint64           `json:"members,omitempty"`
	// KeepAsLearner: whoever votes no more stays as a learner.
	KeepAsLearner bool `json:"keep_as_learner,omitempty"`
	// Force: replace a member that is alive.
	Force bool `json:"force,omitempty"`
	// Standby: the learner may take the place of a voter that is lost. It may stand beside
	// add_learner too, if it is true.
	Standby *bool `json:"standby,omitempty"`
}

// Join asks for the node to be let in that sends it: POST /cluster/join. It is answered as
// a Change is, and may be asked again. A change that lets a node in yields to another one
// that is asked for by hand.
type Join struct {
	ID uint64 `json:"id"`
	// Incarnation names the node's data, in hexadecimal.
	Incarnation string `json:"incarnation"`
	// Address is where the members reach the node.
	Address string `json:"address"`
	// As is voter, learner or standby; "" is voter. A voter is a learner first.
	As string `json:"as,omitempty"`
	// Cluster is the hash of the cluster to which the node belongs; "" before it belongs to
	// any.
	Cluster string `json:"cluster,omitempty"`
}

// As what a node joins.
const (
	AsVoter   = "voter"
	AsLearner = "learner"
	AsStandby = "standby"
)
