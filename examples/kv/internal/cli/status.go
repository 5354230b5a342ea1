package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
)

// The interval of --watch.
const (
	intervalDefault = time.Second
	intervalMin     = 10 * time.Millisecond
	intervalMax     = time.Hour
)

func newStatus() *cobra.Command {
	var (
		addresses         []string
		timeout, interval time.Duration
		watch             bool
	)
	command := &cobra.Command{
		Use:   "status",
		Short: "Show what nodes say of themselves",
		Long: `Show what nodes say of themselves: a line of JSON for each.

With --watch it goes on until Ctrl-C, which is no error. To a terminal it writes a
table with a row for each node, in place of the one before. To a file or a pipe it
writes, each time, a line of JSON for each node: {"time","http","status"}, or
{"time","http","error"}. A node that does not answer is a row, or a line, with the
reason, and is asked again.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			nodes, err := watchedNodes(addresses, timeout)
			switch {
			case err != nil:
				return err
			case !watch && c.Flags().Changed("interval"):
				return errors.New("--interval: there is no --watch")
			case interval < intervalMin || interval > intervalMax:
				return fmt.Errorf("--interval: %v is not %v to %v", interval, intervalMin, intervalMax)
			case !watch:
				return showStatus(c, nodes)
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			f, isFile := c.OutOrStdout().(*os.File)
			w := &watcher{nodes: nodes, interval: interval, patience: min(timeout, max(interval, patienceMin)), out: c.OutOrStdout()}
			if isFile && isTerminal(f) {
				return w.run(ctx, w.redraw)
			}
			return w.run(ctx, w.lines)
		},
	}
	f := command.Flags()
	f.StringSliceVar(&addresses, "http", []string{"http://" + httpDefault}, "URLs of the nodes, with commas between, or the flag repeated")
	f.DurationVar(&timeout, "timeout", api.TimeoutDefault, "how long a request may take")
	f.BoolVar(&watch, "watch", false, "ask again and again")
	f.DurationVar(&interval, "interval", intervalDefault, "with --watch, the time between two questions")
	return command
}

// watchedNode is a node whose status is asked for.
type watchedNode struct {
	address string
	client  *client.Client
}

func watchedNodes(addresses []string, timeout time.Duration) ([]watchedNode, error) {
	if timeout <= 0 {
		return nil, fmt.Errorf("--timeout: %v is not more than 0", timeout)
	}
	var nodes []watchedNode
	for _, address := range addresses {
		c, err := client.New(address, timeout, nil)
		if err != nil {
			return nil, err
		}
		nodes = append(nodes, watchedNode{strings.TrimPrefix(address, "http://"), c})
	}
	if len(nodes) == 0 {
		return nil, errors.New("--http: there is no node")
	}
	return nodes, nil
}

// showStatus asks once. It shows those that answer, whatever the others do.
func showStatus(c *cobra.Command, nodes []watchedNode) error {
	var errs []error
	for _, n := range nodes {
		answer, err := n.client.Status(c.Context())
		errs = append(errs, show(c, answer, err))
	}
	return errors.Join(errs...)
}
