package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
)

// settings are the flags of serve.
type settings struct {
	id              uint64
	httpAddress     string
	raftAddress     string
	data            string
	store           string
	dial            []string
	electionTimeout time.Duration
	heartbeat       time.Duration
	snapshotEntries uint64
	logLevel        string
	traces          traceSettings

	// What complete makes of them.
	overrides map[troupe.NodeID]string
	level     slog.Level
}

const (
	storeBadger = "badger"
	storeMemory = "memory"
)

func newServe() *cobra.Command {
	var s settings
	defaults := troupe.Config{}.WithDefaults()
	command := &cobra.Command{
		Use:   "serve",
		Short: "Run a node",
		Long: `Run a node until SIGINT or SIGTERM. When it serves, it writes one line to
standard output:

  {"ready":true,"id":1,"http":"HOST:PORT","raft":"HOST:PORT"}

A new node waits until it is made a member, by init on one of the nodes. With
--store memory a node that ends has lost all, and when it comes back it is not
counted as the member that it was.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			s.traces.ratioSet = c.Flags().Changed("trace-ratio")
			if err := s.complete(); err != nil {
				return err
			}
			return serve(c.Context(), &s, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	f := command.Flags()
	f.Uint64Var(&s.id, "id", 0, "id of the node, from 1 on; it never changes")
	f.StringVar(&s.httpAddress, "http", httpDefault, "address of the HTTP API; port 0 takes a free one")
	f.StringVar(&s.raftAddress, "raft", "127.0.0.1:9001", "address for the other nodes; port 0 takes a free one")
	f.StringVar(&s.data, "data", "", "directory of the node's data; required with --store badger")
	f.StringVar(&s.store, "store", storeBadger, "badger or memory")
	f.StringArrayVar(&s.dial, "dial", nil, "ID=HOST:PORT: reach a peer there, whatever the cluster says; may be repeated")
	f.DurationVar(&s.electionTimeout, "election-timeout", defaults.ElectionTimeout, "a node without a leader for one to two of it campaigns")
	f.DurationVar(&s.heartbeat, "heartbeat", 0, "interval of a leader's heartbeats, at most a third of --election-timeout (default a tenth of it)")
	f.Uint64Var(&s.snapshotEntries, "snapshot-entries", defaults.SnapshotEntries, "entries applied between two snapshots")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.traces.endpoint, "otlp", "", "send traces to the collector there: HOST:PORT or http://HOST:PORT without TLS, https://HOST:PORT with it (default from OTEL_EXPORTER_OTLP_ENDPOINT)")
	f.Float64Var(&s.traces.ratio, "trace-ratio", 0, "trace this part of all requests, from 0 to 1 (default from OTEL_TRACES_SAMPLER, else at most 10 a second)")
	mustRequire(command, "id")
	return command
}

// complete checks the flags, so that nothing is opened for a bad one.
func (s *settings) complete() error {
	switch {
	case s.id == 0:
		return errors.New("--id: ids begin at 1")
	case s.store != storeBadger && s.store != storeMemory:
		return fmt.Errorf("--store: %q is neither %s nor %s", s.store, storeBadger, storeMemory)
	case s.store == storeBadger && s.data == "":
		return fmt.Errorf("--data: a directory is required with --store %s", storeBadger)
	case s.snapshotEntries == 0:
		return errors.New("--snapshot-entries: 0 is not positive")
	}
	if err := checkListen(s.httpAddress); err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	if err := checkListen(s.raftAddress); err != nil {
		return fmt.Errorf("--raft: %w", err)
	}
	if err := s.traces.complete(); err != nil {
		return err
	}
	if err := s.level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return fmt.Errorf("--log-level: %q is not debug, info, warn or error", s.logLevel)
	}
	s.overrides = make(map[troupe.NodeID]string)
	for _, text := range s.dial {
		id, address, err := parseMember(text)
		if err != nil {
			return fmt.Errorf("--dial: %w", err)
		}
		if s.overrides[troupe.NodeID(id)] != "" {
			return fmt.Errorf("--dial: node %d stands there twice", id)
		}
		s.overrides[troupe.NodeID(id)] = address
	}
	return nil
}

// checkAddress checks an address that others dial.
func checkAddress(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if host == "" {
		return fmt.Errorf("address %s: the host is missing", address)
	}
	if _, port, _ := net.SplitHostPort(address); port == "0" {
		return fmt.Errorf("address %s: port 0 cannot be dialled", address)
	}
	return checkListen(address)
}

// checkListen checks an address to listen on.
func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("address %s: %q is not a port", address, port)
	}
	return nil
}
