// Package cli is the command line of the key-value store.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Run runs one command and returns its exit code: 0, or 1 after an error, which
// it writes to stderr; inspect has one more. Flags may stand before or after arguments.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		// Whether somebody reads it or not, the command has ended.
		l := newLineWriter(stderr)
		fmt.Fprintln(l, "kv:", err)
		l.close(linesLimit)
		if exit := (*exitError)(nil); errors.As(err, &exit) {
			return exit.code
		}
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "kv",
		Short: "A replicated key-value store",
		// Errors are written once, by Run, and not buried under the usage.
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newServe(), newRecover())
	root.AddCommand(newInit(), newPut(), newGet(), newDelete(), newSwap(), newStatus(), newTransfer(), newElect(), newPauseElections(), newResumeElections(), newMembers(),
		newSnapshot(), newSnapshotRate(), newPurge(), newBackup(), newRestore(), newInspect())
	return root
}
