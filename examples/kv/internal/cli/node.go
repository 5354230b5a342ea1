package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/trouperaft/troupe"
	"github.com/trouperaft/troupe/examples/kv/internal/api"
	"github.com/trouperaft/troupe/examples/kv/internal/machine"
	"github.com/trouperaft/troupe/examples/kv/internal/server"
	"github.com/trouperaft/troupe/metrics/prometheus"
	"github.com/trouperaft/troupe/network/tcp"
	"github.com/trouperaft/troupe/storage/badger"
	"github.com/trouperaft/troupe/storage/files"
	"github.com/trouperaft/troupe/storage/memory"
	"github.com/trouperaft/troupe/tracing/otlp"
)

// stopLimit bounds an orderly end. Of it the requests under way have answerLimit before
// they are told that the node ends.
const (
	stopLimit   = 5 * time.Second
	answerLimit = time.Second
)

// linesLimit is for how long a reader that does not take what is written to it may keep
// a process from its end.
const linesLimit = time.Second

// flushLimit is for how long the last spans may keep a node from its end.
const flushLimit = time.Second

// serve runs a node until a signal, or until ctx ends.
func serve(ctx context.Context, s *settings, stdout, stderr io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader of the log or of the ready line that goes away, or hangs, costs lines. By
	// itself the signal of a broken pipe would end the process.
	signal.Ignore(syscall.SIGPIPE)
	log, out := newLineWriter(stderr), newLineWriter(stdout)
	defer log.close(linesLimit)
	defer out.close(linesLimit)
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: s.level}))

	listener, err := net.Listen("tcp", s.httpAddress)
	if err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	defer listener.Close()
	n, err := openNode(ctx, s, logger)
	if err != nil {
		return err
	}
	var limited context.Context // of the end, once that has begun
	var cancel context.CancelFunc
	beginEnd := func() { limited, cancel = context.WithTimeout(context.WithoutCancel(ctx), stopLimit) }
	defer func() {
		if limited == nil {
			beginEnd()
		}
		defer cancel()
		err = errors.Join(err, n.close(limited))
	}()

	front := &http.Server{
		Handler:           n.front(logger),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go func() { served <- front.Serve(listener) }()
	ready := api.Ready{Ready: true, ID: s.id, HTTP: listener.Addr().String(), Raft: n.raft.Node().Address()}
	if err := writeLine(out, ready); err != nil {
		return errors.Join(err, front.Close(), ignoreClosed(<-served))
	}

	joiner, err := newJoiner(n.raft, s, logger)
	if err != nil {
		return errors.Join(err, front.Close(), ignoreClosed(<-served))
	}
	forming := make(chan struct{})
	go func() {
		defer close(forming)
		newFormer(n.raft, s.members, logger).run(ctx)
		joiner.run(ctx)
	}()
	defer func() {
		stop()
		<-forming
	}()

	// A group that has failed does not end the process: its status tells why.
	select {
	case err := <-served:
		return fmt.Errorf("--http: %w", err)
	case <-ctx.Done():
	}
	// A second signal ends the process at once.
	stop()
	logger.Info("stopping")
	beginEnd()
	n.end(limited, front, logger)
	return ignoreClosed(<-served)
}

// end lets somebody else lead, answers what waits, and ends the HTTP side. A request that
// waits for what does not come, because the group has no quorum or a call hangs, is
// answered by the end of the group.
func (n *node) end(ctx context.Context, front *http.Server, logger *slog.Logger) {
	if err := n.raft.Node().Drain(ctx); err != nil {
		logger.Warn("the leadership was not handed over", "error", err)
	}
	graceful, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	if front.Shutdown(graceful) == nil {
		return
	}
	_ = n.raft.Shutdown(ctx) // close tells what it says
	answered, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
	defer cancel()
	if err := front.Shutdown(answered); err != nil {
		logger.Warn("requests were cut off", "error", err)
		_ = front.Close()
	}
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// front is the node's HTTP side.
func (n *node) front(logger *slog.Logger) http.Handler {
	s := server.New(proposing(n.raft), n.machine, logger)
	s.ShowMetrics(n.numbers)
	s.ShowSnapshotRate(n.raft.Node())
	return s
}

// node is a member of the group with all that it stands on.
type node struct {
	raft    *troupe.Raft
	machine machine.Machine
	numbers *prometheus.Exposition
	traces  *otlp.Exporter
	// closers are closed after the group, in reverse order.
	closers []io.Closer
}

// openNode puts a node together: the stores, the state machine, the network,
// and on them the group.
func openNode(ctx context.Context, s *settings, logger *slog.Logger) (_ *node, err error) {
	n := &node{}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.closeStores())
			n.closeTraces(ctx)
		}
	}()
	if n.numbers, err = prometheus.New(prometheus.Config{Node: troupe.NodeID(s.id), Groups: []troupe.GroupID{1}}); err != nil {
		return nil, err
	}
	n.closers = append(n.closers, n.numbers)
	if n.traces, err = s.traces.setup(ctx, s.id, n.numbers.Meter(), logger); err != nil {
		return nil, err
	}
	// The log first: it knows whose directory this is.
	log, snapshots, err := n.openStores(s, logger)
	if err != nil {
		return nil, err
	}
	if n.machine, err = openMachine(s, logger); err != nil {
		return nil, err
	}
	n.machine = upgraded(hanging(n.machine))
	n.closers = append(n.closers, n.machine)
	transport, err := tcp.Listen(s.transport(logger))
	if err != nil {
		return nil, fmt.Errorf("--raft: %w", err)
	}
	n.raft, err = troupe.Start(ctx, troupe.NodeConfig{
		ID:        troupe.NodeID(s.id),
		Network:   transport,
		Log:       refusing(log),
		Snapshots: snapshots, SnapshotBytesPerSecond: s.snapshotRate,
		Logger: logger,
		Meter:  n.numbers.Meter(),
		// There is one group, for as long as the process lives.
		MeterGroupHistograms: true,
		Tracing:              n.traces.Tracing(),
	}, troupe.Config{
		StateMachine:      n.machine,
		ElectionTimeout:   s.electionTimeout,
		HeartbeatInterval: s.heartbeat,
		SnapshotEntries:   s.snapshotEntries,
		KeepEntries:       max(s.keepEntries, 1),
		KeepBytes:         s.keptBytes(),
		HoldBytesMax:      s.heldBytes(),
		Autopilot:         s.autopilot,
	})
	if err != nil {
		return nil, errors.Join(err, transport.Close())
	}
	return n, nil
}

// keptBytes is how many bytes stay below a snapshot. No entry has only one, so that it
// stands for none: 0 is the library's default.
func (s *settings) keptBytes() uint64 {
	if s.keepEntries == 0 || s.keepBytes == 0 {
		return 1
	}
	return s.keepBytes
}

// heldBytes is how many bytes stay for members that lag.
func (s *settings) heldBytes() uint64 {
	if s.holdBytes == 0 {
		return troupe.Never
	}
	return s.holdBytes
}

func (n *node) openStores(s *settings, logger *slog.Logger) (troupe.LogStore, troupe.SnapshotStore, error) {
	if s.store == storeMemory {
		log := memory.New(troupe.NodeID(s.id))
		n.closers = append(n.closers, log)
		return log, memory.NewSnapshots(), nil
	}
	log, err := badger.Open(filepath.Join(s.data, raftDir), badger.Options{Node: troupe.NodeID(s.id), Logger: logger})
	if err != nil {
		return nil, nil, fmt.Errorf("--data: %w", err)
	}
	n.closers = append(n.closers, log)
	snapshots, err := files.Open(filepath.Join(s.data, snapshotsDir), logger)
	if err != nil {
		return nil, nil, fmt.Errorf("--data: %w", err)
	}
	n.closers = append(n.closers, snapshots)
	return log, snapshots, nil
}

func openMachine(s *settings, logger *slog.Logger) (machine.Machine, error) {
	if s.store == storeMemory {
		return machine.NewMemory(), nil
	}
	return machine.OpenBadger(filepath.Join(s.data, machineDir), logger)
}

// close stops the group in order, a leader after it has handed over, then closes
// what it stood on. A group that has failed has said so; that is no failure of its end.
// One that a call holds up is: the error names the call.
func (n *node) close(ctx context.Context) error {
	if err := n.raft.Shutdown(ctx); err != nil && ctx.Err() != nil {
		// The stores are still in use, and end with the process.
		return err
	}
	closed := make(chan error, 1)
	go func() { closed <- n.closeStores() }()
	var err error
	select {
	case err = <-closed:
	case <-ctx.Done():
		// Their directory is gone, or their disk hangs. All that was acknowledged was synced.
		err = fmt.Errorf("--data: not closed within %v, which ends with the process", stopLimit)
	}
	n.closeTraces(ctx)
	return err
}

// closeTraces sends what is left. A collector that does not take it costs the
// spans, and is no failure of the node's end: the log has told of it.
func (n *node) closeTraces(ctx context.Context) {
	if n.traces == nil {
		return
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushLimit)
	defer cancel()
	_ = n.traces.Shutdown(limited)
}

func (n *node) closeStores() error {
	var err error
	for i := len(n.closers) - 1; i >= 0; i-- {
		err = errors.Join(err, n.closers[i].Close())
	}
	return err
}

// transport is the network's configuration. A link may be as slow as the election
// time-out allows: an answer is not missed before that.
func (s *settings) transport(logger *slog.Logger) tcp.Config {
	return tcp.Config{
		Address: s.raftAddress, Advertise: s.advertise, Peers: s.hints, Resolve: tcp.Override(s.overrides), Logger: logger,
		AnswerTimeout: max(s.electionTimeout, time.Second),
	}
}
