package cli

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

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
		newMemberRemove(), newMemberReplace(), newSet(), newSetAddress(), newSetPriority(), newSetTags(), newSetStandby(), newSetVoters(), newCancelChange())
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

// change makes a command that asks for a change of the members, or for several at once.
func change(use, short string, args cobra.PositionalArgs, read func(args []string) ([]api.MemberChange, error)) *cobra.Command {
	var (
		asked  api.Change
		noWait bool
	)
	command := request(use, short, args, func(c *cobra.Command, to *client.Client, args []string) error {
		var err error
		if asked.Changes, err = read(args); err != nil {
			return err
		}
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

// each makes a change of each argument.
func each(read func(arg string) (api.MemberChange, error)) func(args []string) ([]api.MemberChange, error) {
	return func(args []string) (changes []api.MemberChange, err error) {
		for _, arg := range args {
			m, err := read(arg)
			if err != nil {
				return nil, err
			}
			changes = append(changes, m)
		}
		return changes, nil
	}
}

// one makes one change of all arguments.
func one(read func(args []string) (api.MemberChange, error)) func(args []string) ([]api.MemberChange, error) {
	return func(args []string) ([]api.MemberChange, error) {
		m, err := read(args)
		return []api.MemberChange{m}, err
	}
}

func newMemberAdd(name, op, short string) *cobra.Command {
	command := change(name+" ID=HOST:PORT...", short, cobra.MinimumNArgs(1), each(func(arg string) (api.MemberChange, error) {
		id, address, err := parseMember(arg)
		return api.MemberChange{Op: op, ID: id, Address: address}, err
	}))
	command.Long = short + `. Several come in one change.
The node runs already: with an empty directory and without --init, or with the
directory that it had when it was removed.`
	return command
}

// newMemberOf makes a command whose op has its name and takes only ids.
func newMemberOf(op, short string) *cobra.Command {
	return change(op+" ID...", short, cobra.MinimumNArgs(1), each(func(arg string) (api.MemberChange, error) {
		id, err := parseID(arg)
		return api.MemberChange{Op: op, ID: id}, err
	}))
}

const keepUsage = "whoever votes no more stays as a learner"

func newMemberRemove() *cobra.Command {
	var keep bool
	command := change("remove ID...", "Take a voter or a learner out of the cluster", cobra.MinimumNArgs(1), each(func(arg string) (api.MemberChange, error) {
		id, err := parseID(arg)
		return api.MemberChange{Op: "remove", ID: id, KeepAsLearner: keep}, err
	}))
	command.Flags().BoolVar(&keep, "keep-as-learner", false, keepUsage)
	return command
}

func newMemberReplace() *cobra.Command {
	m := api.MemberChange{Op: "replace"}
	command := change("replace ID", "Put a node that lost its data in the place of the member that it was", cobra.ExactArgs(1), one(func(args []string) (api.MemberChange, error) {
		id, err := parseID(args[0])
		if err == nil && m.Address != "" {
			err = flagError("address", checkAddress(m.Address))
		}
		m.ID = id
		return m, err
	}))
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
