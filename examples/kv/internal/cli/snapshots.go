package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

func newSnapshot() *cobra.Command {
	command := request("snapshot", "Make a snapshot on a node now", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
		answer, err := to.Snapshot(c.Context())
		return show(c, answer, err)
	})
	command.Long = `Make a snapshot on the node that is asked, whoever leads, and wait until it is durable.
With --store badger a node makes none by itself: its database is durable, and the log is
purged because of that. It makes one when another node needs it.
If one is being made, that is waited for; with nothing new the newest is the answer. If
time runs out it is made all the same.`
	waitLonger(command)
	return command
}

func newPurge() *cobra.Command {
	var upTo uint64
	command := request("purge", "Remove the beginning of a node's log", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
		if upTo == 0 {
			return errors.New("--up-to: the index up to which the log is to go, from 1")
		}
		answer, err := to.Purge(c.Context(), upTo)
		return show(c, answer, err)
	})
	command.Long = `Remove the entries up to an index from the log of the node that is asked, whatever
--keep-entries and --keep-bytes keep. What neither its newest snapshot nor, as it has
recorded, its database contains cannot go: snapshot_index and record_index of its status
say how far that is. What another node is waiting for
stays until it has it. The answer is the first index that the log holds then.`
	command.Flags().Uint64Var(&upTo, "up-to", 0, "the last index that is to go")
	return command
}
