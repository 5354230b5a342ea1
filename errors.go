package troupe

import (
	"fmt"
	"io"
	"strings"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// Errors that carry no data. None of them leaves a write in doubt, unless it is
// wrapped in an [UnknownOutcomeError].
var (
	// ErrOverloaded: there was no room for the request, and nothing happened.
	ErrOverloaded = core.ErrOverloaded
	// ErrStopped: the node or the group was stopped.
	ErrStopped = core.ErrStopped
	// ErrTermChanged: the term that the request insisted on is over.
	ErrTermChanged = core.ErrTermChanged
	// ErrNotReady: this node leads, and the cluster is still being formed.
	ErrNotReady = core.ErrNotReady
	// ErrTransferring: the leader hands over to another node, and the proposal did not
	// want to wait for that. Nothing happened.
	ErrTransferring = core.ErrTransferring
	// ErrNoCluster: the group belongs to no cluster yet, and nothing happened.
	// The group waits for [Raft.Bootstrap] here or elsewhere. If a context has
	// ended meanwhile, the error wraps the error of the context too.
	ErrNoCluster = core.ErrNoCluster
	// ErrRemoved: this node was removed from the group. Nothing happened, and its data is
	// as it was.
	ErrRemoved = core.ErrRemoved
	// ErrNotRemoved: the data of a group was to be deleted ([Node.Remove]), and this node
	// is a member of the group, or its removal is not known to be committed.
	ErrNotRemoved = core.ErrNotRemoved
	// ErrNoChange: no change of the members is under way that could be given up.
	ErrNoChange = core.ErrNoChange
	// ErrNotNow: the state machine gives no view at the moment, so that no snapshot or
	// backup was made. A machine's View returns it, or an error that wraps it, and is asked
	// again. It is also the error of a node that has lost what told the time and the members
	// of its machine's state, until the leader has told it.
	ErrNotNow = core.ErrNotNow
	// ErrCorrupt is wrapped by every error that says that stored data is damaged.
	ErrCorrupt = core.ErrCorrupt
)

// Errors that carry data, for errors.As.
// Limits of a command's size: Config.CommandBytesMax, and the largest message that the
// network of the leader, or of this node, takes.
const (
	LimitCommand = core.LimitCommand
	LimitMessage = core.LimitMessage
)

type (
	// NotLeaderError: this node does not lead, and nothing happened.
	//
	//   - Leader: who leads, 0 if that is not known;
	//   - Term: the term of this node.
	NotLeaderError = core.NotLeaderError
	// UnknownOutcomeError: it is not known what became of the write, or of the request
	// to pause elections.
	//
	//   - Cause: why nobody knows, the error of a context for instance.
	UnknownOutcomeError = core.UnknownOutcomeError
	// LostError: the write was appended, lost its place to another leader's
	// entry, and will certainly not happen.
	//
	//   - LogID: the place that it had.
	LostError = core.LostError
	// FatalError: the group has failed, and stopped.
	//
	//   - Cause: why.
	FatalError = core.FatalError
	// TooLargeError: a command is over a limit, and nothing happened.
	//
	//   - Size, Max: its bytes, and the most that it may have;
	//   - Limit: which limit it is, [LimitCommand] or [LimitMessage];
	//   - Node: the leader if the limit is the leader's, 0 if it is this node's.
	TooLargeError = core.TooLargeError
	// VersionError: the state machine of a member is of too old a version. Of a command or
	// a read nothing has happened; of a command that was appended the outcome is unknown,
	// which an *UnknownOutcomeError says. Start fails with it where a snapshot has to be
	// restored that a later version wrote.
	//
	//   - Needs, Have: the version that is needed, and the machine's;
	//   - Index: if not 0, the entry from which on nothing is applied on this node;
	//   - Node: the leader if it is the leader's machine, 0 if this node's.
	VersionError = core.VersionError
	// SizeLimit names a limit of a command's size. It prints as a few words.
	SizeLimit = core.SizeLimit
	// ContradictionError: this node has heard what no correct member can say, and
	// answers no reads.
	//
	//   - Text: what it has heard, for people.
	ContradictionError = core.ContradictionError
	// TooStaleError: the state of this node is older than a read allows, and could
	// not be brought up to date in time.
	//
	//   - Age: how long ago the state is known to have been current, -1 if that is
	//     not known;
	//   - LagEntries: by how many entries the state machine is behind, if that is why;
	//   - Cause: why the read has ended, the error of a context for instance.
	TooStaleError = core.TooStaleError
	// BootstrapError: a bootstrap was refused, and nothing was written.
	//
	//   - Node: the member that stands in the way, 0 if none does;
	//   - Reason: what stands in the way, for people;
	//   - Cause: what the network said, nil if it said nothing.
	BootstrapError = core.BootstrapError
	// TransferError: the leadership was not transferred, as far as is known.
	//
	//   - Reason: why, a TransferReason such as [TransferLagging];
	//   - To: the node that was to lead, 0 if none was found;
	//   - Leader: who leads, 0 if that is not known;
	//   - Sent: To was told to campaign, and may do so even now: [MayHaveHappened];
	//   - Text: more, for people;
	//   - Cause: the error of the caller's context, if that is why.
	TransferError = core.TransferError
	// TransferReason is why a transfer failed.
	TransferReason = core.TransferReason
	// ElectError: an election by hand did not make this node the leader.
	//
	//   - Reason: why, an ElectRefusal such as [ElectUnderLeader];
	//   - Leader: who leads, 0 if that is not why;
	//   - UnderWay: the node campaigns all the same, and may lead by that:
	//     [MayHaveHappened];
	//   - Text: more, for people;
	//   - Cause: the error of the caller's context, if that is why.
	ElectError = core.ElectError
	// ElectRefusal is why an election by hand has failed.
	ElectRefusal = core.ElectRefusal
	// StillRunningError: a group, or a node on the same log store, has not ended yet. It
	// cannot be started again, and its store cannot be closed.
	//
	//   - Node, Group: which one, Group 0 if it is the node;
	//   - Call: the call that has not returned, "apply" for instance; empty while none
	//     is out;
	//   - Since: when that call was made.
	StillRunningError = core.StillRunningError
	// ChangeError: the members cannot be changed like that, and nothing was appended.
	//
	//   - Reason: what is wrong, a ChangeReason such as [ChangeLastVoter];
	//   - Change: the change that is wrong, zero if it is not one alone;
	//   - Node: the node that stands in the way, 0 if none does;
	//   - Text: more, for people.
	ChangeError = membership.ChangeError
	// ChangeReason is what is wrong with a change of the members.
	ChangeReason = membership.ChangeReason
	// ChangeInProgressError: another change of the members is under way, or can not be
	// given up any more.
	//
	//   - Change, What: which one, and what it does, for people;
	//   - Age: for how long it has been under way;
	//   - Joint: it can only be finished.
	ChangeInProgressError = core.ChangeInProgressError
	// NotCaughtUpError: a node that was to come did not answer, or did not catch up, in
	// time. The change was given up, and no voter has come or gone.
	//
	//   - Change, Node: which change, and which node;
	//   - Lag: how many entries the node lacks;
	//   - LastContact: how long ago it last answered, -1 if it never did;
	//   - Text: more, for people.
	NotCaughtUpError = core.NotCaughtUpError
	// ConfigurationChangedError: the configuration that the request insisted on is not in
	// force. Nothing was appended.
	//
	//   - Expected, Index: the index that was expected, and that of the one in force.
	ConfigurationChangedError = core.ConfigurationChangedError
	// ChangeCancelledError: the change was given up while it was catching up.
	//
	//   - Change: which one;
	//   - Yielded: for another change.
	ChangeCancelledError = core.ChangeCancelledError
	// CompactedError: the log of this node no longer holds an entry that Entries was to
	// yield: it was purged, or a snapshot has taken its place.
	//
	//   - First: where the log begins now.
	CompactedError = core.CompactedError
	// OtherClusterError: Entries was to be of another cluster than this one.
	//
	//   - Want, Have: the cluster that was asked for, and the group's. They print as
	//     hashes.
	OtherClusterError = core.OtherClusterError
	// PurgeError: the log cannot be purged so far, and nothing happened.
	//
	//   - UpTo: what was asked for;
	//   - Snapshot: what the newest snapshot of this node ends with.
	PurgeError = core.PurgeError
	// WrongNodeError: a store was opened for another node than its own.
	//
	//   - Store: which one;
	//   - Node, Owner: the node that asked for it, and the one that it belongs to.
	WrongNodeError = storage.WrongNodeError
	// BackupError: a file cannot be restored, because it is no whole backup. If it is cut
	// off or damaged, the error wraps [ErrCorrupt].
	//
	//   - Fault: what is wrong, a BackupFault such as [BackupCut];
	//   - Text: more, for people.
	BackupError = storage.BackupError
	// BackupFault is what is wrong with a file that should be a backup.
	BackupFault = storage.BackupFault
)

// What can be wrong with a file that should be a backup.
const (
	BackupEmpty   = storage.BackupEmpty
	BackupNone    = storage.BackupNone
	BackupVersion = storage.BackupVersion
	BackupCut     = storage.BackupCut
	BackupDamaged = storage.BackupDamaged
)

// VerifyBackup reads a backup to its end, and returns what it says of itself. What is wrong
// with it is a *BackupError.
func VerifyBackup(from io.Reader) (BackupMeta, error) { return storage.VerifyBackup(from) }

// MayHaveHappened reports whether a request that failed with err, such as a write, a
// transfer or an election, may have been carried out all the same, now or later. It is
// false for nil: that did happen. Of errors that were joined, one is enough.
func MayHaveHappened(err error) bool { return core.MayHaveHappened(err) }

// ConfigError names the field of a configuration, or the argument of a call, and the
// rule that its value breaks.
type ConfigError struct {
	// Field is written with its struct, as in "Config.HeartbeatInterval"; or it is
	// the function that made the argument, as in "Stale".
	Field string
	Rule  string
}

// Error implements error.
func (e *ConfigError) Error() string { return fmt.Sprintf("troupe: %s %s", e.Field, e.Rule) }

// GroupExistsError: the group was started on this node already.
type GroupExistsError struct{ Group GroupID }

// Error implements error.
func (e *GroupExistsError) Error() string {
	return fmt.Sprintf("troupe: group %d runs on this node already", e.Group)
}

// FormingError: the caller of a bootstrap stopped waiting before all members had
// joined. It wraps the reason for which the wait ended.
type FormingError struct {
	// Begun: the cluster exists, and its leader goes on forming it. If not,
	// this node has stopped asking, but another node with the same list may
	// still begin.
	Begun bool
	// WaitsFor are the members for which it waited, and why, as far as this
	// node knows.
	WaitsFor []Waiting
	Cause    error
}

// Error implements error.
func (e *FormingError) Error() string {
	text := "troupe: the cluster is still being formed"
	if !e.Begun {
		text = "troupe: the cluster was not begun here"
	}
	if len(e.WaitsFor) > 0 {
		waits := make([]string, len(e.WaitsFor))
		for i, w := range e.WaitsFor {
			waits[i] = w.String()
		}
		text += " and waits for " + strings.Join(waits, ", ")
	}
	return fmt.Sprintf("%s: %v", text, e.Cause)
}

// Unwrap returns the cause.
func (e *FormingError) Unwrap() error { return e.Cause }

// MayHaveHappened returns true: the cluster exists, or may yet.
func (e *FormingError) MayHaveHappened() bool { return true }
