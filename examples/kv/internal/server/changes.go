package server

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/membership"
)

// changeBytesMax bounds the body of a change, written generously.
const changeBytesMax = membership.MembersMax * (membership.AddressBytesMax + 4096)

// changesOf reads what is asked for. What depends on the members the leader checks.
func changesOf(given *api.Change) ([]troupe.Change, []troupe.ChangeOption, error) {
	if len(given.Changes) == 0 {
		return nil, nil, &api.Error{Code: api.BadRequest, Message: "changes: there are none", Reason: changeReasons[troupe.ChangeNothing]}
	}
	var options []troupe.ChangeOption
	if given.CatchUpLimit != "" {
		limit, err := time.ParseDuration(given.CatchUpLimit)
		if err != nil || limit < 0 {
			return nil, nil, badRequest("catch_up_limit: %q is no time such as 30s", given.CatchUpLimit)
		}
		options = append(options, troupe.CatchUpLimit(limit))
	}
	if given.ExpectedIndex != 0 {
		options = append(options, troupe.ExpectedIndex(troupe.Index(given.ExpectedIndex)))
	}
	if given.ExpectedTerm != 0 {
		options = append(options, troupe.IfTerm(troupe.Term(given.ExpectedTerm)))
	}
	if given.Wait != nil && !*given.Wait {
		options = append(options, troupe.NoWait())
	}
	changes := make([]troupe.Change, len(given.Changes))
	for i := range given.Changes {
		change, wrong := changeOf(&given.Changes[i])
		if wrong != "" {
			return nil, nil, &api.Error{Code: api.BadRequest, Message: fmt.Sprintf("changes[%d].%s", i, wrong), Reason: reasonOf(wrong)}
		}
		changes[i] = change
	}
	return changes, options, nil
}

// reasonOf is the library's reason for what is wrong with a field of a change, "" if it
// has none.
func reasonOf(wrong string) string {
	field, why, _ := strings.Cut(wrong, ": ")
	reason := map[string]troupe.ChangeReason{
		"op": troupe.ChangeUnknownOp, "id": troupe.ChangeIDZero, "address": troupe.ChangeAddress, "members": troupe.ChangeLastVoter,
	}[field]
	if strings.HasSuffix(why, takesNone) {
		return ""
	}
	return changeReasons[reason]
}

// takesNone is said of a field that an op does not take.
const takesNone = "takes none"

// changeOf reads one change, or says what is wrong with which field.
func changeOf(given *api.MemberChange) (change troupe.Change, wrong string) {
	op, known := membership.ParseOp(given.Op)
	if !known {
		return change, fmt.Sprintf("op: %q is none of add, add_learner, promote, demote, remove, replace, set_address, set_priority, set_tags, set_standby, set_voters", given.Op)
	}
	if wrong := wrongFields(op, given); wrong != "" {
		return change, wrong
	}
	if given.Address != "" {
		if wrong := wrongAddress(given.Address); wrong != "" {
			return change, "address: " + wrong
		}
	}
	change = troupe.Change{Op: op, ID: troupe.NodeID(given.ID), Address: given.Address, KeepAsLearner: given.KeepAsLearner, Force: given.Force}
	if given.Incarnation != "" {
		incarnation, err := strconv.ParseUint(given.Incarnation, 16, 64)
		if err != nil {
			return change, fmt.Sprintf("incarnation: %q is no hexadecimal number of 64 bits", given.Incarnation)
		}
		change.Incarnation = troupe.Incarnation(incarnation)
	}
	if given.Priority != nil {
		change.Priority = *given.Priority
	}
	if given.Standby != nil {
		change.Standby = *given.Standby
	}
	if given.Tags != nil {
		change.Tags = maps.Clone(*given.Tags)
	}
	for _, id := range given.Members {
		change.Voters = append(change.Voters, troupe.NodeID(id))
	}
	return change, ""
}

// wrongFields looks for a field that the op does not take, or that it needs.
func wrongFields(op membership.Op, given *api.MemberChange) string {
	comes := op == membership.OpAdd || op == membership.OpAddLearner
	for _, field := range []struct {
		name                   string
		given, taken, required bool
	}{
		{"id", given.ID != 0, op != membership.OpSetVoters, true},
		{"incarnation", given.Incarnation != "", op == membership.OpReplace, false},
		{"address", given.Address != "", comes || op == membership.OpSetAddress || op == membership.OpReplace, op != membership.OpReplace},
		{"priority", given.Priority != nil, op == membership.OpSetPriority, true},
		{"tags", given.Tags != nil, op == membership.OpSetTags, true},
		{"standby", given.Standby != nil, op == membership.OpSetStandby || op == membership.OpAddLearner, op == membership.OpSetStandby},
		{"members", len(given.Members) > 0, op == membership.OpSetVoters, true},
		{"keep_as_learner", given.KeepAsLearner, op == membership.OpRemove || op == membership.OpSetVoters, false},
		{"force", given.Force, op == membership.OpReplace, false},
	} {
		switch {
		case field.given && !field.taken:
			return fmt.Sprintf("%s: %v %s", field.name, op, takesNone)
		case !field.given && field.taken && field.required:
			return fmt.Sprintf("%s: it is missing or empty, and %v needs it", field.name, op)
		}
	}
	return ""
}

// wrongField names the field of a request that the library refuses.
func wrongField(given *api.Change, wrong *troupe.ChangeError) string {
	for i, c := range slices.Backward(given.Changes) { // of a node that is named twice the later is wrong
		if c.Op == wrong.Change.Op.String() && c.ID == uint64(wrong.Change.ID) && (c.Address == wrong.Change.Address || wrong.Change.Address == "") {
			field := fmt.Sprintf("changes[%d]", i)
			if name := changeFields(wrong); name != "" {
				field += "." + name
			}
			return field
		}
	}
	return "changes"
}

// changeFields is the field that a reason is about, "" if it is the whole change.
func changeFields(wrong *troupe.ChangeError) string {
	switch wrong.Reason {
	case troupe.ChangeAddress, troupe.ChangeAddressTwice:
		return "address"
	case troupe.ChangeLimit:
		if wrong.Change.Op == membership.OpSetTags {
			return "tags"
		}
		return "priority"
	case troupe.ChangeSameIncarnation, troupe.ChangeTwoIncarnations:
		return "incarnation"
	case troupe.ChangeIDZero, troupe.ChangeIDTwice, troupe.ChangeNotMember, troupe.ChangeIsMember, troupe.ChangeIsVoter, troupe.ChangeNotVoter:
		if wrong.Change.Op == membership.OpSetVoters {
			return "members"
		}
		return "id"
	}
	return ""
}

// changeReasons are words for what is wrong with a change.
var changeReasons = map[troupe.ChangeReason]string{
	troupe.ChangeNothing:         "nothing",
	troupe.ChangeUnknownOp:       "unknown_op",
	troupe.ChangeIDZero:          "id_zero",
	troupe.ChangeIDTwice:         "id_twice",
	troupe.ChangeAddress:         "address",
	troupe.ChangeAddressTwice:    "address_twice",
	troupe.ChangeNotMember:       "not_member",
	troupe.ChangeIsMember:        "is_member",
	troupe.ChangeIsVoter:         "is_voter",
	troupe.ChangeNotVoter:        "not_voter",
	troupe.ChangeLastVoter:       "last_voter",
	troupe.ChangeTooManyMembers:  "too_many_members",
	troupe.ChangeLimit:           "limit",
	troupe.ChangeTooLarge:        "too_large",
	troupe.ChangeSameIncarnation: "same_incarnation",
	troupe.ChangeAlive:           "alive",
	troupe.ChangeNoIncarnation:   "no_incarnation",
	troupe.ChangeTwoIncarnations: "two_incarnations",
	troupe.ChangeEmptied:         "emptied",
	troupe.ChangeOtherCluster:    "other_cluster",
	troupe.ChangeNoQuorum:        "no_quorum",
}
