package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

func newTransfer() *cobra.Command {
	var to uint64
	command := request("transfer", "Hand the leadership to another node", cobra.NoArgs, func(c *cobra.Command, client *client.Client, _ []string) error {
		answer, err := client.Transfer(c.Context(), to)
		return show(c, answer, err)
	})
	command.Long = `Hand the leadership to another node. Any node may be asked; the leader does it.
It is done when the other node leads and has committed something. If it fails the
error says why, and whether it may happen yet.`
	command.Flags().Uint64Var(&to, "to", 0, "the node that is to lead; 0 is the best: of the highest priority, well, and with most of the log")
	return command
}

func newElect() *cobra.Command {
	command := request("elect", "Let a node campaign now", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
		answer, err := to.Elect(c.Context())
		return show(c, answer, err)
	})
	command.Long = `Let the node that is asked campaign now, where no leader lives. What it and the
others have promised to the last leader is kept. Under a leader that lives, use
transfer.`
	return command
}

func newPauseElections() *cobra.Command {
	command := request("pause-elections", "Keep a node from campaigning, and from being handed the leadership", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
		answer, err := to.PauseElections(c.Context(), true)
		return show(c, answer, err)
	})
	command.Long = `Keep the node that is asked from campaigning, and from being handed the leadership,
until resume-elections or a restart. It still votes and serves, and leads on if it
leads: hand the leadership over too. While the elections of all voters but the leader
are paused, nobody takes over if that fails.`
	return command
}

func newResumeElections() *cobra.Command {
	return request("resume-elections", "End a pause of a node's elections", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
		answer, err := to.PauseElections(c.Context(), false)
		return show(c, answer, err)
	})
}

// prioritiesUsage is the usage of the flag of init and of serve.
const prioritiesUsage = "ID=N: how much a member is wanted as the leader, from 1 (last) to 1000; 100 unless it is set. May be repeated"

// parsePriorities gives members of a list their priorities.
func parsePriorities(list []string, members []api.InitMember) error {
	seen := make(map[uint64]bool)
	for _, text := range list {
		before, after, ok := strings.Cut(text, "=")
		id, errID := strconv.ParseUint(strings.TrimSpace(before), 10, 64)
		n, errN := strconv.ParseUint(strings.TrimSpace(after), 10, 32)
		switch {
		case !ok || errID != nil || errN != nil:
			return fmt.Errorf("%q is not ID=N", text)
		case n < troupe.PriorityLast || n > troupe.PriorityMax:
			return fmt.Errorf("%q: a priority is %d to %d", text, troupe.PriorityLast, troupe.PriorityMax)
		case seen[id]:
			return fmt.Errorf("node %d stands there twice", id)
		}
		seen[id] = true
		known := false
		for i := range members {
			if members[i].ID == id {
				members[i].Priority, known = uint32(n), true
			}
		}
		if !known {
			return fmt.Errorf("%q: node %d is not in the list of members", text, id)
		}
	}
	return nil
}
