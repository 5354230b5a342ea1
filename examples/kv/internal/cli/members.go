package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

// changeTimeout is for how long a command waits for a change: longer than the leader
// waits for a node that is silent, so that the answer says which.
const changeTimeout = time.Minute

func newMembers() *cobra.Command {
	list := func(use string) *cobra.Command {
		return request(use, "Show and change the members of the cluster", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
			answer, err := to.Members(c.Context())
			return show(c, answer, err)
		})
	}
	members := list("members")
	members.Aliases = []string{"member"}
	members.Long = `Show and change the members of the cluster. Any member may be asked. Without a
subcommand it shows them, as the asked node knows them.

A change is answered when it is complete. If time runs out it goes on: the answer has
a change_id, and the exit code is 0. The same may be asked again to wait for it.

A command that waits for longer than a second shows on standard error what for: as a
bar in a terminal, and else as a line for each step. How far a node has come that
catches up only the leader knows.`
	show := list("list")
	show.Short = "Show the members, as the asked node knows them"
	members.AddCommand(show, newMemberAdd("add", "add", "Make a node a voter, once it has caught up as a learner"),
		newMemberAdd("add-learner", "add_learner", "Make a node a learner, which gets all and does not vote"),
		newMemberOf("promote", "Make a learner a voter"), newMemberOf("demote", "Make a voter a learner"),
		newMemberRemove(), newMemberReplace(), newSetAddress(), newSetPriority(), newSetTags(), newSetStandby(), newSetVoters(), newCancelChange())
	return members
}

// waitLonger sets the default of --timeout for what takes its time.
func waitLonger(command *cobra.Command) {
	timeout := command.Flags().Lookup("timeout")
	timeout.DefValue = changeTimeout.String()
	if err := timeout.Value.Set(timeout.DefValue); err != nil {
		panic(err)
	}
}

// change makes a command that asks for one change of the members.
func change(use, short string, args cobra.PositionalArgs, read func(args []string) (api.MemberChange, error)) *cobra.Command {
	var (
		asked  api.Change
		noWait bool
	)
	command := request(use, short, args, func(c *cobra.Command, to *client.Client, args []string) error {
		m, err := read(args)
		if err != nil {
			return err
		}
		asked.Changes = []api.MemberChange{m}
		if noWait {
			asked.Wait = new(false)
		}
		shown := func() {}
		if !noWait && !asked.DryRun {
			shown = showProgress(c, to)
		}
		answer, err := to.ChangeMembers(c.Context(), asked)
		shown() // the answer comes behind it
		return show(c, answer, err)
	})
	f := command.Flags()
	f.BoolVar(&asked.DryRun, "dry-run", false, "change nothing, and show the steps that would be taken")
	f.BoolVar(&noWait, "no-wait", false, "do not wait until the change is complete")
	f.Uint64Var(&asked.ExpectedIndex, "expected-index", 0, "refuse unless the members in force have this index")
	f.Uint64Var(&asked.ExpectedTerm, "expected-term", 0, "refuse unless this is the term")
	f.StringVar(&asked.CatchUpLimit, "catch-up-limit", "", "for how long a node that is to come may make no progress; 30s unless it is set, 0s for ever")
	waitLonger(command)
	return command
}

func newMemberAdd(name, op, short string) *cobra.Command {
	command := change(name+" ID=HOST:PORT", short, cobra.ExactArgs(1), func(args []string) (api.MemberChange, error) {
		id, address, err := parseMember(args[0])
		return api.MemberChange{Op: op, ID: id, Address: address}, err
	})
	command.Long = short + `.
The node runs already: with an empty directory and without --init, or with the
directory that it had when it was removed.`
	return command
}

// newMemberOf makes a command whose op has its name and takes only an id.
func newMemberOf(op, short string) *cobra.Command {
	return change(op+" ID", short, cobra.ExactArgs(1), func(args []string) (api.MemberChange, error) {
		id, err := parseID(args[0])
		return api.MemberChange{Op: op, ID: id}, err
	})
}

const keepUsage = "whoever votes no more stays as a learner"

func newMemberRemove() *cobra.Command {
	var keep bool
	command := change("remove ID", "Take a voter or a learner out of the cluster", cobra.ExactArgs(1), func(args []string) (api.MemberChange, error) {
		id, err := parseID(args[0])
		return api.MemberChange{Op: "remove", ID: id, KeepAsLearner: keep}, err
	})
	command.Flags().BoolVar(&keep, "keep-as-learner", false, keepUsage)
	return command
}

func newMemberReplace() *cobra.Command {
	m := api.MemberChange{Op: "replace"}
	command := change("replace ID", "Put a node that lost its data in the place of the member that it was", cobra.ExactArgs(1), func(args []string) (api.MemberChange, error) {
		id, err := parseID(args[0])
		if err == nil && m.Address != "" {
			err = flagError("address", checkAddress(m.Address))
		}
		m.ID = id
		return m, err
	})
	command.Long = `Put a node that lost its data in the place of the member that it was. The node runs
already, with an empty directory. The member must have been silent for two election
time-outs: 2 s, unless the servers were given an --election-timeout.`
	f := command.Flags()
	f.StringVar(&m.Address, "address", "", "where the node is now, if it has moved")
	f.StringVar(&m.Incarnation, "incarnation", "", "which incarnation is to come, in hexadecimal, if several answer")
	f.BoolVar(&m.Force, "force", false, "also if the member is alive")
	return command
}

func flagError(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("--%s: %w", name, err)
}

func newSetAddress() *cobra.Command {
	return change("set-address ID=HOST:PORT", "Say where the others reach a member", cobra.ExactArgs(1), func(args []string) (api.MemberChange, error) {
		id, address, err := parseMember(args[0])
		return api.MemberChange{Op: "set_address", ID: id, Address: address}, err
	})
}

func newSetPriority() *cobra.Command {
	return change("set-priority ID=N", "Say how much a member is wanted as the leader", cobra.ExactArgs(1), func(args []string) (api.MemberChange, error) {
		before, after, ok := strings.Cut(args[0], "=")
		id, err := parseID(before)
		n, errN := strconv.ParseUint(after, 10, 32)
		switch {
		case !ok || err != nil || errN != nil:
			return api.MemberChange{}, fmt.Errorf("%q is not ID=N", args[0])
		case n > troupe.PriorityMax:
			return api.MemberChange{}, fmt.Errorf("%q: a priority is %d to %d, or 0 for the normal one", args[0], troupe.PriorityLast, troupe.PriorityMax)
		}
		return api.MemberChange{Op: "set_priority", ID: id, Priority: new(uint32(n))}, nil
	})
}

func newSetTags() *cobra.Command {
	return change("set-tags ID [KEY=VALUE]...", "Give a member these tags, in the place of all that it has", cobra.MinimumNArgs(1), func(args []string) (api.MemberChange, error) {
		id, err := parseID(args[0])
		if err != nil {
			return api.MemberChange{}, err
		}
		tags := make(map[string]string)
		for _, tag := range args[1:] {
			key, value, ok := strings.Cut(tag, "=")
			if _, twice := tags[key]; twice || !ok {
				return api.MemberChange{}, fmt.Errorf("%q is not KEY=VALUE, or the key stands there twice", tag)
			}
			tags[key] = value
		}
		return api.MemberChange{Op: "set_tags", ID: id, Tags: &tags}, nil
	})
}

func newSetStandby() *cobra.Command {
	return change("set-standby ID=true|false", "Say whether a learner may take the place of a voter that is lost", cobra.ExactArgs(1), func(args []string) (api.MemberChange, error) {
		before, after, ok := strings.Cut(args[0], "=")
		id, err := parseID(before)
		if !ok || err != nil || after != "true" && after != "false" {
			return api.MemberChange{}, fmt.Errorf("%q is not ID=true or ID=false", args[0])
		}
		return api.MemberChange{Op: "set_standby", ID: id, Standby: new(after == "true")}, nil
	})
}

func newSetVoters() *cobra.Command {
	var keep bool
	command := change("set-voters ID...", "Name all voters, which must be members", cobra.MinimumNArgs(1), func(args []string) (api.MemberChange, error) {
		m := api.MemberChange{Op: "set_voters", KeepAsLearner: keep}
		for _, text := range args {
			id, err := parseID(text)
			if err != nil {
				return m, err
			}
			m.Members = append(m.Members, id)
		}
		return m, nil
	})
	command.Long = `Name all voters, which must be members. A voter that is not named is removed. Learners
that are not named stay.`
	command.Flags().BoolVar(&keep, "keep-as-learner", false, keepUsage)
	return command
}

func newCancelChange() *cobra.Command {
	return request("cancel", "Give up the change that is catching up", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
		answer, err := to.CancelChange(c.Context())
		return show(c, answer, err)
	})
}

var errID = errors.New("ids are numbers from 1 on")

func parseID(text string) (uint64, error) {
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 {
		return 0, fmt.Errorf("%q: %w", text, errID)
	}
	return id, nil
}
