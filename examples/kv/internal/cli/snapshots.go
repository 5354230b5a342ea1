package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

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
--keep-entries and --keep-bytes keep. What its newest snapshot does not contain cannot
go: snapshot_index of its status says how far that is. What another node is waiting for
stays until it has it. The answer is the first index that the log holds then.`
	command.Flags().Uint64Var(&upTo, "up-to", 0, "the last index that is to go")
	return command
}
