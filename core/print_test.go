package core

import (
	"fmt"
	"strings"
	"time"
)

// The tests of this package compare commands and messages as lines of text, so
// that an expectation reads like a sentence and a difference is seen at once.
// Everything that matters is in the line; the drawn time of an election timer is
// not.

// printEntries writes entries as "[2.4 blank, 2.5 x]".
func printEntries(entries []Entry) string {
	parts := make([]string, len(entries))
	for i := range entries {
		e := &entries[i]
		what := e.Kind.String()
		switch e.Kind {
		case EntryCommand:
			what = string(e.Data)
		case EntryConfiguration:
			what = "configuration"
		}
		parts[i] = fmt.Sprintf("%v %s", e.LogID, what)
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

func printRuns(runs []LogID) string {
	parts := make([]string, len(runs))
	for i, run := range runs {
		parts[i] = run.String()
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// printMessage writes a message without its ends: "T2 heartbeat 4, commit 3".
func printMessage(m Message) string {
	t := fmt.Sprintf("T%d ", m.Head().Term)
	yes := func(ok bool, is, isNot string) string {
		if ok {
			return is
		}
		return isNot
	}
	switch m := m.(type) {
	case *VoteRequest:
		return fmt.Sprintf("%s%s for T%d, last %v%s", t, yes(m.Pre, "pre-vote?", "vote?"), m.ElectionTerm, m.Last, yes(m.Transfer, ", for a transfer", ""))
	case *VoteResponse:
		wait := ""
		if m.WaitMillis > 0 {
			wait = fmt.Sprintf(", wait %d ms", m.WaitMillis)
		}
		return fmt.Sprintf("%s%s for T%d %s%s", t, yes(m.Pre, "pre-vote", "vote"), m.ElectionTerm, yes(m.Granted, "granted", "refused"), wait)
	case *Heartbeat:
		return fmt.Sprintf("%sheartbeat %d, commit %d%s", t, m.Round, m.Commit, printChangeTold(m.Change))
	case *HeartbeatResponse:
		return fmt.Sprintf("%sheartbeat %d answered: match %d, applied %d, promise %d ms%s", t, m.Round, m.Match, m.Applied, m.PromiseMillis, yes(m.Unfit != Fit, ", "+m.Unfit.String(), ""))
	case *AppendEntries:
		return fmt.Sprintf("%sappend after %v %s, commit %d", t, m.Prev, printEntries(m.Entries), m.Commit)
	case *AppendResponse:
		if m.Success {
			return fmt.Sprintf("%sappended: match %d", t, m.Match)
		}
		return fmt.Sprintf("%sappend after %v refused, hint %v", t, m.Rejected, m.Hint)
	case *SnapshotChunk:
		return fmt.Sprintf("%ssnapshot of %v", t, m.Meta.LogID)
	case *SnapshotResponse:
		return fmt.Sprintf("%ssnapshot %s", t, yes(m.Refused, "refused: "+m.Reason, fmt.Sprintf("taken up to %d", m.Offset)))
	case *ReadIndexRequest:
		return t + yes(m.Lease, "read index by the lease?", "read index?")
	case *ReadIndexResponse:
		return t + yes(m.OK, fmt.Sprintf("read index %d", m.Index), "read index refused")
	case *IdentifyRequest:
		return t + yes(m.Release, "the attempt has ended", yes(m.Attempt != 0, "who are you, and do you grant?", "who are you?"))
	case *IdentifyResponse:
		grant := yes(m.Granted, ", granted", yes(m.GrantedTo.IsZero(), "", fmt.Sprintf(", granted to %v", m.GrantedTo)))
		return fmt.Sprintf("%sI am %v, %s%s%s", t, m.From, yes(m.Empty, "empty", "not empty"), grant, yes(m.SameList, ", of the same list", ""))
	case *TimeoutNow:
		return t + "campaign now"
	case *TimeoutNowResponse:
		return t + "no campaign: " + yes(m.Unfit == Fit, "not in that term", m.Unfit.String())
	case *TransferRequest:
		return fmt.Sprintf("%stransfer to %d?", t, m.Target)
	case *TransferResponse:
		return t + yes(m.Reason == 0, fmt.Sprintf("transferred to %d, T%d", m.Leader, m.LeaderTerm), fmt.Sprintf("not transferred to %d: %v", m.Target, m.Reason))
	case *ChangeRequest:
		return fmt.Sprintf("%schange members: %s?", t, yes(m.Order.Cancel, "cancel", fmt.Sprint(m.Order.Changes)))
	case *ChangeResponse:
		return fmt.Sprintf("%schange %s", t, printChangeResponse(m))
	case *Removed:
		return fmt.Sprintf("%sremoved by %v", t, m.At)
	case *Refusal:
		reason := [...]string{RefusedIncarnation: "another incarnation is here", RefusedUnknownMember: "not the member of that name", RefusedLeftBehind: "recovered without it"}[m.Reason]
		return t + "refusal: " + reason
	}
	return fmt.Sprintf("%s%T", t, m)
}

var printChangeCodes = [...]string{
	ChangeAccepted: "accepted", ChangePlanned: "planned", ChangeTaken: "taken", ChangeUnneeded: "unneeded", ChangeNotLeader: "not led here", ChangeRefused: "refused",
	ChangeInProgress: "in the way of another", ChangeNotCaughtUp: "not caught up", ChangeConfigurationChanged: "of another configuration",
	ChangeTermChanged: "of another term", ChangeOverloaded: "overloaded", ChangeNotReady: "not ready", ChangeCancelled: "cancelled", ChangeNone: "none", ChangeYielded: "yielded",
}

func printChangeTold(c *ChangeTold) string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf(", change %d %v", uint64(c.ID), c.State)
	for i, w := range c.WaitsFor {
		text += fmt.Sprintf("%s%d", [...]string{", waits for ", " "}[min(i, 1)], w.Node)
	}
	return text
}

func printChangeResponse(m *ChangeResponse) string {
	text := printChangeCodes[m.Code]
	if m.Reason != 0 {
		text += fmt.Sprintf(": %v", m.Reason)
	}
	if m.At != (LogID{}) {
		text += fmt.Sprintf(" at %v", m.At)
	}
	return text
}

func printChangeEnded(c *ChangeEnded) string {
	text := errorOr(c.Err, "done")
	switch {
	case c.GoesOn:
		text = "goes on"
	case c.Err == nil && len(c.Steps) > 0:
		text = "would be"
		for i := range c.Steps {
			text += fmt.Sprintf("; %v", &c.Steps[i])
		}
		return text
	}
	return fmt.Sprintf("%s; %v: %v", text, c.At.LogID, &c.At.Configuration)
}

func printWrite(w *Write) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if w.SaveHardState {
		vote := "nobody"
		if !w.HardState.Vote.IsZero() {
			vote = fmt.Sprint(w.HardState.Vote.ID)
		}
		add("T%d vote for %s", w.HardState.Term, vote)
		if g := w.HardState.Grant; !g.IsZero() {
			add("grant to %d", g.To.ID)
		}
		if at := w.HardState.Removed; at.Index != 0 {
			add("removed by %v", at)
		}
	}
	if w.Reset.Index != 0 {
		add("reset to %v", w.Reset)
	}
	if w.TruncateFrom != 0 {
		add("truncate from %d", w.TruncateFrom)
	}
	if len(w.Append) > 0 {
		add("append %s", printEntries(w.Append))
	}
	if w.Purge.Index != 0 {
		add("purge to %v", w.Purge)
	}
	if w.Commit != 0 {
		add("commit %d", w.Commit)
	}
	for _, m := range w.Then {
		add("then ->%d %s", m.Head().To.ID, printMessage(m))
	}
	return fmt.Sprintf("write %d: %s", w.IOID, strings.Join(parts, "; "))
}

var printNotices = map[NoticeKind]string{
	NoticeElectionStarted: "election started", NoticeElected: "elected", NoticeSteppedDown: "stepped down", NoticeNewLeader: "new leader",
	NoticeLostData: "lost its data", NoticeUnknownToGroup: "unknown to the group", NoticeOtherCluster: "other cluster",
	NoticeConnectionBroken: "connection broken", NoticeBootstrapped: "bootstrapped", NoticeContradiction: "contradicts", NoticeTermAhead: "is out of reach",
	NoticeLogLetGo: "is let go of", NoticeVersion: "is too old", NoticeTransferStarted: "is handed the leadership", NoticeTransferred: "has the leadership", NoticeTransferFailed: "has not got the leadership", NoticeElectionsPaused: "leads alone",
	NoticeCannotWork: "cannot work", NoticeWorksAgain: "works again",
	NoticeChangeStarted: "has begun a change", NoticeCatchUpProgress: "catches up", NoticeChangeEnded: "has ended a change", NoticeChangeGivenUp: "has given up a change", NoticeRemoved: "was removed", NoticeLeftBehind: "was left behind",
	NoticeEntryTooLarge: "lacks an entry that is too large",
}

func errorOr(err error, text string) string {
	if err != nil {
		return strings.TrimPrefix(err.Error(), "troupe: ")
	}
	return text
}

// printCommand writes a command. now is the time of the step.
func printCommand(c Command, now Instant) string {
	switch c := c.(type) {
	case *Write:
		return printWrite(c)
	case *Send:
		return fmt.Sprintf("send ->%d %s", c.Message.Head().To.ID, printMessage(c.Message))
	case *StartStream:
		return fmt.Sprintf("stream %d ->%d of T%d, terms %s after %v, last %d", c.Stream, c.Peer.ID, c.Term, printRuns(c.Terms), c.Purged, c.Last)
	case *StopStream:
		return fmt.Sprintf("stop stream %d ->%d", c.Stream, c.Peer.ID)
	case *Replicate:
		return fmt.Sprintf("replicate to %d, commit %d", c.Last, c.Commit)
	case *PeerAlive:
		return fmt.Sprintf("alive: %d, match %d", c.Peer.ID, c.Match)
	case *Apply:
		return fmt.Sprintf("apply to %d", c.UpTo)
	case *ArmTimer:
		if c.Timer == TimerElection {
			return "arm election"
		}
		return fmt.Sprintf("arm %v in %v", c.Timer, c.At.Sub(now).Round(time.Millisecond))
	case *CancelTimer:
		return fmt.Sprintf("cancel %v", c.Timer)
	case *BuildSnapshot:
		return "build snapshot"
	case *SendSnapshot:
		if c.Resume.Index > 0 {
			return fmt.Sprintf("send snapshot ->%d, on with %v", c.Peer.ID, c.Resume)
		}
		return fmt.Sprintf("send snapshot ->%d", c.Peer.ID)
	case *ReceiveChunk:
		return fmt.Sprintf("receive snapshot %v", c.Chunk.Meta.LogID)
	case *InstallSnapshot:
		return fmt.Sprintf("install snapshot %v", c.Meta.LogID)
	case *SnapshotMade:
		return fmt.Sprintf("snapshot %d: %v", c.ID, errorOr(c.Err, c.Meta.LogID.String()))
	case *PurgeEnded:
		return fmt.Sprintf("purge %d: %v", c.ID, errorOr(c.Err, fmt.Sprintf("the log begins at %d", c.First)))
	case *ReadReady:
		return fmt.Sprintf("read %d: ready at %d", c.ID, c.Index)
	case *ReadFailed:
		return fmt.Sprintf("read %d: ask again", c.ID)
	case *ElectEnded:
		return fmt.Sprintf("elect %d: %v", c.ID, errorOr(c.Err, fmt.Sprintf("leads T%d", c.Term)))
	case *TransferEnded:
		return fmt.Sprintf("transfer %d: %v", c.ID, errorOr(c.Err, fmt.Sprintf("node %d leads T%d", c.Leader, c.Term)))
	case *ChangeEnded:
		return fmt.Sprintf("change %d: %s", c.ID, printChangeEnded(c))
	case *BreakConnection:
		return fmt.Sprintf("break connection %v to %d", c.Class, c.Node)
	case *Changed:
		ready := ""
		if c.Ready {
			ready = ", ready"
		}
		return fmt.Sprintf("now %v of T%d, leader %d%s", c.Role, c.Term, c.Leader, ready)
	case *ConfigurationChanged:
		return fmt.Sprintf("configuration %v: %v", c.At.LogID, &c.At.Configuration)
	case *DialMembers:
		return fmt.Sprintf("dial %d members", len(c.Members))
	case *BootstrapEnded:
		return fmt.Sprintf("bootstrap ended: %v", c.Err)
	case *Notice:
		return strings.TrimSuffix(fmt.Sprintf("notice: %d %s in T%d: %s", c.Peer.ID, printNotices[c.Kind], c.Term, c.Text), ": ")
	}
	return fmt.Sprintf("%T", c)
}
