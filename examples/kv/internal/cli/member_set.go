package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// memberSettings are the flags of set.
type memberSettings struct {
	address  string
	priority uint64
	tags     []string
	noTags   bool
	standby  bool
	voters   []string
	keep     bool
}

// newSet makes the command that changes several things of a member at once. Each of them
// has a command of its own, too.
func newSet() *cobra.Command {
	var (
		m       memberSettings
		command *cobra.Command
	)
	command = change("set [ID]", "Change what is said of a member, or name all voters", cobra.MaximumNArgs(1), func(args []string) ([]api.MemberChange, error) {
		return m.changes(args, command.Flags().Changed)
	})
	command.Long = `Change what is said of a member: where the others reach it, how much it is wanted as the
leader, its tags, whether it stands by. What has no flag stays. Or name all voters, with
--voters and without an ID, as set-voters does.`
	command.Example = `  kv members set 4 --address 10.0.0.4:9004 --priority 200 --tag zone=b --tag rack=7
  kv members set --voters 1,2,4`
	f := command.Flags()
	f.StringVar(&m.address, "address", "", "HOST:PORT: where the others reach it")
	f.Uint64Var(&m.priority, "priority", 0, fmt.Sprintf("how much it is wanted as the leader: %d to %d, or 0 for the normal priority", troupe.PriorityLast, troupe.PriorityMax))
	f.StringArrayVar(&m.tags, "tag", nil, "KEY=VALUE: its tags, in the place of all that it has; may be repeated")
	f.BoolVar(&m.noTags, "no-tags", false, "it has no tags any more")
	f.BoolVar(&m.standby, "standby", false, "of a learner: it may take the place of a voter that is lost; =false takes that back")
	f.StringSliceVar(&m.voters, "voters", nil, "ids of all voters, which must be members; others that vote are removed")
	f.BoolVar(&m.keep, "keep-as-learner", false, "with --voters: "+keepUsage)
	command.MarkFlagsMutuallyExclusive("tag", "no-tags")
	return command
}

// changes are those that were asked for; given reports whether a flag was.
func (s *memberSettings) changes(args []string, given func(flag string) bool) (changes []api.MemberChange, err error) {
	add := func(m api.MemberChange, flag string, wrong error) {
		changes = append(changes, m)
		err = errors.Join(err, flagError(flag, wrong))
	}
	if given("voters") {
		if len(args) > 0 || given("address") || given("priority") || given("tag") || given("no-tags") || given("standby") {
			return nil, errors.New("--voters: it stands alone, without an ID")
		}
		m, wrong := votersOf(s.voters, s.keep)
		add(m, "voters", wrong)
		return changes, err
	}
	switch {
	case given("keep-as-learner"):
		return nil, errors.New("--keep-as-learner: there is no --voters")
	case len(args) == 0:
		return nil, errors.New("whose? there is neither an ID nor --voters")
	}
	id, err := parseID(args[0])
	if err != nil {
		return nil, err
	}
	if given("address") {
		add(api.MemberChange{Op: "set_address", ID: id, Address: s.address}, "address", checkSetAddress(s.address))
	}
	if given("priority") {
		add(api.MemberChange{Op: "set_priority", ID: id, Priority: new(uint32(min(s.priority, troupe.PriorityMax+1)))}, "priority", checkPriority(s.priority))
	}
	if given("tag") || given("no-tags") {
		tags, wrong := parseTags(s.tags)
		add(api.MemberChange{Op: "set_tags", ID: id, Tags: &tags}, "tag", wrong)
	}
	if given("standby") {
		add(api.MemberChange{Op: "set_standby", ID: id, Standby: new(s.standby)}, "standby", nil)
	}
	if len(changes) == 0 {
		return nil, errors.New("set what? --address, --priority, --tag, --no-tags or --standby says it")
	}
	return changes, err
}

// checkSetAddress checks an address that must be there.
func checkSetAddress(address string) error {
	if address == "" {
		return errors.New("it is empty")
	}
	return checkAddress(address)
}

func checkPriority(n uint64) error {
	if n > troupe.PriorityMax {
		return fmt.Errorf("%d: a priority is %d to %d, or 0 for the normal one", n, troupe.PriorityLast, troupe.PriorityMax)
	}
	return nil
}

func parseTags(list []string) (map[string]string, error) {
	tags := make(map[string]string)
	for _, tag := range list {
		key, value, ok := strings.Cut(tag, "=")
		if _, twice := tags[key]; twice || !ok {
			return nil, fmt.Errorf("%q is not KEY=VALUE, or the key stands there twice", tag)
		}
		tags[key] = value
	}
	return tags, nil
}

func votersOf(list []string, keep bool) (api.MemberChange, error) {
	m := api.MemberChange{Op: "set_voters", KeepAsLearner: keep}
	for _, text := range list {
		id, err := parseID(text)
		if err != nil {
			return m, err
		}
		m.Members = append(m.Members, id)
	}
	if len(m.Members) == 0 {
		return m, errors.New("it names nobody")
	}
	return m, nil
}

func newSetAddress() *cobra.Command {
	return change("set-address ID=HOST:PORT", "Say where the others reach a member", cobra.ExactArgs(1), one(func(args []string) (api.MemberChange, error) {
		id, address, err := parseMember(args[0])
		return api.MemberChange{Op: "set_address", ID: id, Address: address}, err
	}))
}

func newSetPriority() *cobra.Command {
	return change("set-priority ID=N", "Say how much a member is wanted as the leader", cobra.ExactArgs(1), one(func(args []string) (api.MemberChange, error) {
		before, after, ok := strings.Cut(args[0], "=")
		id, err := parseID(before)
		n, errN := strconv.ParseUint(after, 10, 32)
		switch {
		case !ok || err != nil || errN != nil:
			return api.MemberChange{}, fmt.Errorf("%q is not ID=N", args[0])
		}
		return api.MemberChange{Op: "set_priority", ID: id, Priority: new(uint32(n))}, checkPriority(n)
	}))
}

func newSetTags() *cobra.Command {
	return change("set-tags ID [KEY=VALUE]...", "Give a member these tags, in the place of all that it has", cobra.MinimumNArgs(1), one(func(args []string) (api.MemberChange, error) {
		id, err := parseID(args[0])
		if err != nil {
			return api.MemberChange{}, err
		}
		tags, err := parseTags(args[1:])
		return api.MemberChange{Op: "set_tags", ID: id, Tags: &tags}, err
	}))
}

func newSetStandby() *cobra.Command {
	return change("set-standby ID=true|false", "Say whether a learner may take the place of a voter that is lost", cobra.ExactArgs(1), one(func(args []string) (api.MemberChange, error) {
		before, after, ok := strings.Cut(args[0], "=")
		id, err := parseID(before)
		if !ok || err != nil || after != "true" && after != "false" {
			return api.MemberChange{}, fmt.Errorf("%q is not ID=true or ID=false", args[0])
		}
		return api.MemberChange{Op: "set_standby", ID: id, Standby: new(after == "true")}, nil
	}))
}

func newSetVoters() *cobra.Command {
	var keep bool
	command := change("set-voters ID...", "Name all voters, which must be members", cobra.MinimumNArgs(1), one(func(args []string) (api.MemberChange, error) {
		return votersOf(args, keep)
	}))
	command.Long = `Name all voters, which must be members. A voter that is not named is removed. Learners
that are not named stay.`
	command.Flags().BoolVar(&keep, "keep-as-learner", false, keepUsage)
	return command
}
