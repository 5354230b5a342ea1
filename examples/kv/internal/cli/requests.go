package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
	"github.com/trouperaft/troupe/membership"
)

const httpDefault = "127.0.0.1:8001"

// request makes a command that sends one request.
func request(use, short string, args cobra.PositionalArgs, run func(c *cobra.Command, to *client.Client, args []string) error) *cobra.Command {
	var (
		address string
		timeout time.Duration
	)
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  args,
		RunE: func(c *cobra.Command, args []string) error {
			to, err := client.New(address, timeout, nil)
			if err != nil {
				return err
			}
			return run(c, to, args)
		},
	}
	command.Flags().StringVar(&address, "http", "http://"+httpDefault, "URL of any node")
	command.Flags().DurationVar(&timeout, "timeout", api.TimeoutDefault, "how long the request may take")
	return command
}

func newPut() *cobra.Command {
	return request("put KEY VALUE", "Set a key", cobra.ExactArgs(2), func(c *cobra.Command, to *client.Client, args []string) error {
		answer, err := to.Put(c.Context(), args[0], []byte(args[1]))
		return show(c, answer, err)
	})
}

func newDelete() *cobra.Command {
	return request("delete KEY", "Remove a key", cobra.ExactArgs(1), func(c *cobra.Command, to *client.Client, args []string) error {
		answer, err := to.Delete(c.Context(), args[0])
		return show(c, answer, err)
	})
}

func newGet() *cobra.Command {
	var read client.Read
	command := request("get KEY", "Write the value of a key to standard output", cobra.ExactArgs(1), func(c *cobra.Command, to *client.Client, args []string) error {
		value, err := to.Get(c.Context(), args[0], read)
		if err != nil {
			return err
		}
		// Files and pipes get the bytes as they are.
		if f, ok := c.OutOrStdout().(*os.File); ok && isTerminal(f) {
			value = append(value, '\n')
		}
		_, err = c.OutOrStdout().Write(value)
		return err
	})
	command.Flags().StringVar(&read.Mode, "read", "linearizable", "linearizable, lease or stale")
	command.Flags().DurationVar(&read.MaxStaleness, "max-staleness", 0, "of a stale read: how old the node's state may be; 0 for no bound")
	command.Flags().Uint64Var(&read.MinIndex, "min-index", 0, "see at least the write that was answered with this index")
	return command
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

func newSwap() *cobra.Command {
	var oldAbsent, newAbsent bool
	arguments := func(_ *cobra.Command, args []string) error {
		want := 3
		for _, absent := range []bool{oldAbsent, newAbsent} {
			if absent {
				want--
			}
		}
		if len(args) != want {
			return fmt.Errorf("cas takes %d arguments here, received %d: KEY OLD NEW, without those that are absent", want, len(args))
		}
		return nil
	}
	command := request("cas KEY OLD NEW", "Set a key to NEW if it is OLD", arguments, func(c *cobra.Command, to *client.Client, args []string) error {
		swap, rest := api.Swap{}, args[1:]
		if !oldAbsent {
			swap.Old, rest = &rest[0], rest[1:]
		}
		if !newAbsent {
			swap.New = &rest[0]
		}
		answer, err := to.Swap(c.Context(), args[0], swap)
		return show(c, answer, err)
	})
	command.Long = "Set a key to NEW if it is OLD. The answer says whether it was; either way the exit code is 0."
	command.Flags().BoolVar(&oldAbsent, "old-absent", false, "swap if the key is not there; leave OLD out")
	command.Flags().BoolVar(&newAbsent, "new-absent", false, "remove the key; leave NEW out")
	return command
}

func newInit() *cobra.Command {
	var list, priorities []string
	command := request("init", "Form a cluster of new nodes", cobra.NoArgs, func(c *cobra.Command, to *client.Client, _ []string) error {
		members, err := parseMembers(list)
		if err != nil {
			return fmt.Errorf("--members: %w", err)
		}
		if err := parsePriorities(priorities, members); err != nil {
			return fmt.Errorf("--priority: %w", err)
		}
		return show(c, api.Init{Members: members}, to.Init(c.Context(), members))
	})
	command.Long = `Form a cluster of new nodes. It may be sent to one of them, or to all with the
same list, at once and again: one cluster comes of it. If time runs out before it
is complete, the error says for whom it waits, and why; status says so too.`
	command.Flags().StringSliceVar(&list, "members", nil, "all members with their raft addresses, 1=HOST:PORT,2=HOST:PORT,...")
	command.Flags().StringArrayVar(&priorities, "priority", nil, prioritiesUsage)
	mustRequire(command, "members")
	return command
}

// parseMembers reads the list of a cluster's members.
func parseMembers(list []string) ([]api.InitMember, error) {
	if len(list) > membership.MembersMax {
		return nil, fmt.Errorf("%d members, at most %d", len(list), membership.MembersMax)
	}
	var members []api.InitMember
	for _, text := range list {
		id, address, err := parseMember(text)
		if err != nil {
			return nil, err
		}
		for _, other := range members {
			switch {
			case other.ID == id:
				return nil, fmt.Errorf("node %d stands there twice", id)
			case other.Address == address:
				return nil, fmt.Errorf("nodes %d and %d have one address, %s", other.ID, id, address)
			}
		}
		members = append(members, api.InitMember{ID: id, Address: address})
	}
	return members, nil
}

// parseMember reads ID=HOST:PORT.
func parseMember(text string) (id uint64, address string, err error) {
	before, address, ok := strings.Cut(text, "=")
	if !ok {
		return 0, "", fmt.Errorf("%q is not ID=HOST:PORT", text)
	}
	id, err = strconv.ParseUint(strings.TrimSpace(before), 10, 64)
	if err != nil || id == 0 {
		return 0, "", fmt.Errorf("%q is not ID=HOST:PORT: ids are numbers from 1 on", text)
	}
	address = strings.TrimSpace(address)
	if address == "" {
		return 0, "", fmt.Errorf("%q is not ID=HOST:PORT: the address is missing", text)
	}
	if err := checkAddress(address); err != nil {
		return 0, "", fmt.Errorf("%q: %w", text, err)
	}
	return id, address, nil
}

// show writes an answer as a line of JSON.
func show(c *cobra.Command, answer any, err error) error {
	if err != nil {
		return explain(err)
	}
	return writeLine(c.OutOrStdout(), answer)
}

// explain adds what a person should know to what the server said.
func explain(err error) error {
	var answer *api.Error
	switch {
	case !errors.As(err, &answer) || !answer.MayHaveHappened:
		return err
	case answer.Code == api.Forming:
		return fmt.Errorf("%w (the cluster may be formed yet; the same list may be given again)", err)
	case answer.Code == api.TransferFailed, answer.Code == api.ElectionFailed:
		return fmt.Errorf("%w (kv status says who leads)", err)
	}
	return fmt.Errorf("%w (the write may have been carried out, or may be yet)", err)
}

func writeLine(w io.Writer, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func mustRequire(c *cobra.Command, flag string) {
	if err := c.MarkFlagRequired(flag); err != nil {
		panic(err)
	}
}
