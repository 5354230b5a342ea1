package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/client"
	"github.com/trouperaft/troupe/membership"
)

// settings are the flags of serve.
type settings struct {
	id              uint64
	httpAddress     string
	raftAddress     string
	advertise       string
	data            string
	store           string
	init            []string
	join            []string
	joinAs          string
	rejoin          bool
	autopilot       troupe.Autopilot
	priority        []string
	peer            []string
	dial            []string
	electionTimeout time.Duration
	heartbeat       time.Duration
	snapshotEntries uint64
	snapshotRate    uint64
	keepEntries     uint64
	keepBytes       uint64
	holdBytes       uint64
	logLevel        string
	traces          traceSettings

	// What complete makes of them.
	members   []troupe.Member // of init, nil without it
	hints     map[troupe.NodeID]string
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

A new node waits until it is part of a cluster. With --init it forms one with the
nodes of that list; all of them may be started with the same --init, at the same
time and again, and one cluster comes of it. On a node that belongs to it already
the flag does nothing. The command init does the same over HTTP. A node that
leads hands over to another before it ends.

With --join it becomes a member of a cluster that is there: it asks the member at
that URL, again until it is in. It is a learner first, and votes when it has
caught up, unless --as says otherwise. It may be started with the same --join
again: a member does not ask. A node that was removed asks only with --rejoin. One
whose data was lost is refused: kv members replace takes it in. While it waits,
status says what for. Until it can be told otherwise, whoever reaches the HTTP API
of a member is let in.

With --autopilot a leader removes a voter that is dead, if all others are well and
at least --autopilot-voters-min remain, or puts a standby in its place: a learner
that was started with --as standby, or marked by kv members set-standby.

A node that lost its data, as one with --store memory whenever it ends, is not
counted as the member that it was. With --init it says so in its log.

Where other nodes are:
  --raft       where this node listens.
  --advertise  where the others reach it, if that is another address. They learn
               it when it connects, so a node may move: start it with another.
  --init       where the members are when the cluster is formed.
  --peer       where a peer may be now. It is a hint, tried beside the address
               that is known, and believed if the peer proves itself there. It
               helps where all members have moved, and can name any of them.
  --dial       where to reach a peer, whatever is known or learned of it: for a
               proxy in between. It overrides all the others.

Who reaches the HTTP API is trusted: requests are not authenticated.`,
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
	f.StringVar(&s.advertise, "advertise", "", "HOST:PORT: where the other nodes reach this one, if not at --raft; port 0 stands for that of --raft")
	f.StringSliceVar(&s.init, "init", nil, "form a cluster of these members, or join its forming: 1=HOST:PORT,2=HOST:PORT,...")
	s.memberFlags(command)
	f.StringArrayVar(&s.priority, "priority", nil, "with --init, "+prioritiesUsage)
	f.StringVar(&s.data, "data", "", "directory of the node's data; required with --store badger")
	f.StringVar(&s.store, "store", storeBadger, "badger or memory")
	f.StringArrayVar(&s.peer, "peer", nil, "ID=HOST:PORT: a hint where a peer may be now; may be repeated")
	f.StringArrayVar(&s.dial, "dial", nil, "ID=HOST:PORT: reach a peer there and nowhere else, through a proxy for instance; may be repeated")
	f.DurationVar(&s.electionTimeout, "election-timeout", defaults.ElectionTimeout, "a node without a leader for one to two of it campaigns")
	f.DurationVar(&s.heartbeat, "heartbeat", 0, "interval of a leader's heartbeats, at most a third of --election-timeout (default a tenth of it)")
	f.Uint64Var(&s.snapshotEntries, "snapshot-entries", defaults.SnapshotEntries, "entries applied between two snapshots, or with --store badger two records of what is durable")
	f.Uint64Var(&s.snapshotRate, "snapshot-rate", 0, "bytes a second that the node sends of snapshots, 0 for 16 MiB while there are writes, more of a large one, and no limit otherwise; the command snapshot-rate changes it")
	f.Uint64Var(&s.keepEntries, "keep-entries", defaults.KeepEntries, "at most this many entries stay in the log below a snapshot")
	f.Uint64Var(&s.keepBytes, "keep-bytes", defaults.KeepBytes, "at most this many bytes of entries stay in the log below a snapshot")
	f.Uint64Var(&s.holdBytes, "hold-bytes", defaults.HoldBytesMax, "at most this many bytes of entries stay beyond that for members that lag, 0 for none; the slowest are let go of first")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&s.traces.endpoint, "otlp", "", "send traces to the collector there: HOST:PORT or http://HOST:PORT without TLS, https://HOST:PORT with it (default from OTEL_EXPORTER_OTLP_ENDPOINT)")
	f.Float64Var(&s.traces.ratio, "trace-ratio", 0, "trace this part of all requests, from 0 to 1 (default from OTEL_TRACES_SAMPLER, else at most 10 a second)")
	mustRequire(command, "id")
	return command
}

// memberFlags are those about how this node comes in, and what it does about others.
func (s *settings) memberFlags(command *cobra.Command) {
	f := command.Flags()
	f.StringSliceVar(&s.join, "join", nil, "become a member: the URL of any member's HTTP API, or several to try by turns")
	f.StringVar(&s.joinAs, "as", api.AsVoter, "with --join: voter, learner or standby")
	f.BoolVar(&s.rejoin, "rejoin", false, "with --join: ask also if this node was removed")
	f.BoolVar(&s.autopilot.On, "autopilot", false, "as the leader, take out voters that are dead; all members should have the same")
	f.IntVar(&s.autopilot.VotersMin, "autopilot-voters-min", 3, "with --autopilot: the voters that have to remain")
	f.DurationVar(&s.autopilot.DeadAfter, "autopilot-dead-after", 10*time.Minute, "with --autopilot: a voter that is silent for so long is dead")
	f.DurationVar(&s.autopilot.StableFor, "autopilot-stable-for", 10*time.Second, "with --autopilot: for how long a member must have been well to be counted on")
	f.Uint64Var(&s.autopilot.LagEntriesMax, "autopilot-lag-entries", 4096, "with --autopilot: a member that lacks more entries is not well")
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
	return s.completeAddresses()
}

// completeAddresses checks the flags that say where nodes are.
func (s *settings) completeAddresses() (err error) {
	if err := checkAdvertised(s.advertise); err != nil {
		return fmt.Errorf("--advertise: %w", err)
	}
	if s.members, err = s.founding(); err != nil {
		return fmt.Errorf("--init: %w", err)
	}
	if len(s.priority) > 0 && len(s.init) == 0 {
		return errors.New("--priority: there is no --init")
	}
	if err := s.completeJoin(); err != nil {
		return err
	}
	if s.hints, err = parseAddresses(s.peer); err != nil {
		return fmt.Errorf("--peer: %w", err)
	}
	if s.hints[troupe.NodeID(s.id)] != "" {
		return fmt.Errorf("--peer: node %d is this node itself; --advertise says where the others reach it", s.id)
	}
	if s.overrides, err = parseAddresses(s.dial); err != nil {
		return fmt.Errorf("--dial: %w", err)
	}
	return nil
}

// completeJoin checks the flags about joining. The address of --raft, or of --advertise,
// goes into the configuration: others have to be able to dial it.
func (s *settings) completeJoin() error {
	switch {
	case len(s.join) == 0 && (s.rejoin || s.joinAs != api.AsVoter):
		return errors.New("--as, --rejoin: there is no --join")
	case len(s.join) == 0:
		return nil
	case len(s.init) > 0:
		return errors.New("--join: there is --init too; a cluster is either formed or joined")
	case s.joinAs != api.AsVoter && s.joinAs != api.AsLearner && s.joinAs != api.AsStandby:
		return fmt.Errorf("--as: %q is none of voter, learner, standby", s.joinAs)
	case s.advertise == "":
		if err := checkAdvertised(s.raftAddress); err != nil {
			return fmt.Errorf("--join: the others have to reach this node: --raft: %w; --advertise says where", err)
		}
	}
	for _, address := range s.join {
		if _, err := client.New(address, askLimit, nil); err != nil {
			return fmt.Errorf("--join: %w", err)
		}
	}
	return nil
}

// founding is the list of --init, of which this node must be one.
func (s *settings) founding() ([]troupe.Member, error) {
	if len(s.init) == 0 {
		return nil, nil
	}
	list, err := parseMembers(s.init)
	if err == nil {
		err = parsePriorities(s.priority, list)
	}
	if err != nil {
		return nil, err
	}
	var members []troupe.Member
	for _, m := range list {
		member := troupe.At(troupe.NodeID(m.ID), m.Address)
		member.Priority = m.Priority
		members = append(members, member)
	}
	if !slices.ContainsFunc(list, func(m api.InitMember) bool { return m.ID == s.id }) {
		return nil, fmt.Errorf("node %d, which is this one, is not in the list", s.id)
	}
	return members, nil
}

// parseAddresses reads addresses of nodes, each at most once.
func parseAddresses(list []string) (map[troupe.NodeID]string, error) {
	addresses := make(map[troupe.NodeID]string)
	for _, text := range list {
		id, address, err := parseMember(text)
		if err != nil {
			return nil, err
		}
		if addresses[troupe.NodeID(id)] != "" {
			return nil, fmt.Errorf("node %d stands there twice", id)
		}
		addresses[troupe.NodeID(id)] = address
	}
	return addresses, nil
}

// checkAddress checks an address that others dial.
func checkAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	if port == "0" {
		return fmt.Errorf("address %s: port 0 cannot be dialled", address)
	}
	return checkAdvertised(address)
}

// checkAdvertised checks an address at which others reach this node: none is
// fine, and so is port 0, for which the real one is put in.
func checkAdvertised(address string) error {
	if address == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "":
		return fmt.Errorf("address %s: the host is missing", address)
	case err == nil && ip.Unmap().WithZone("").IsUnspecified():
		return fmt.Errorf("address %s: nobody can be reached at %s", address, host)
	case len(address) > membership.AddressBytesMax:
		return fmt.Errorf("an address of %d bytes, at most %d", len(address), membership.AddressBytesMax)
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
