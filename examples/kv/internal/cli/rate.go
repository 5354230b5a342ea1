package cli

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

func newSnapshotRate() *cobra.Command {
	command := request("snapshot-rate BYTES", "Limit what a node sends of snapshots", cobra.ExactArgs(1), func(c *cobra.Command, to *client.Client, arguments []string) error {
		rate, err := strconv.ParseUint(arguments[0], 10, 64)
		if err != nil {
			return fmt.Errorf("%q is no number of bytes a second", arguments[0])
		}
		answer, err := to.SetSnapshotRate(c.Context(), rate)
		return show(c, answer, err)
	})
	command.Long = `Change how many bytes a second the node that is asked sends of all snapshots
together, from now on and until it ends; 0 stands for 16 MiB while there are writes,
or a minute for a large snapshot, and for no limit otherwise. What is on its way goes on with it.`
	return command
}
