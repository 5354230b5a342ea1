package tcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// Override returns a Config.Resolve that gives the nodes in the map these
// addresses and leaves all others as they are: for proxies, and for tests.
func Override(addresses map[membership.NodeID]string) func(context.Context, membership.NodeID, string) (string, error) {
	addresses = maps.Clone(addresses)
	return func(_ context.Context, node membership.NodeID, address string) (string, error) {
		if override, ok := addresses[node]; ok {
			return override, nil
		}
		return address, nil
	}
}

// resolving counts the calls of Config.Resolve for each node that have not
// returned. It is foreign code: calls that hang hold up no dial, and no more are
// made for the node than it has classes (rule 28).
type resolving struct {
	mu    sync.Mutex
	calls map[membership.NodeID]int
}

func (r *resolving) enter(node membership.NodeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls = make(map[membership.NodeID]int)
	}
	if r.calls[node] >= core.Classes {
		return false
	}
	r.calls[node]++
	return true
}

func (r *resolving) leave(node membership.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[node]--; r.calls[node] == 0 {
		delete(r.calls, node)
	}
}

var errResolveHangs = errors.New("tcp: earlier calls have not returned")

// resolve asks where to dial, and falls back to the known address.
func (n *Network) resolve(ctx context.Context, node membership.NodeID, address string) string {
	if n.config.Resolve == nil {
		return address
	}
	resolved, err := n.callResolve(ctx, node, address)
	if err == nil && !dialable(resolved) {
		err = fmt.Errorf("tcp: %q is no host:port", resolved)
	}
	if err != nil {
		if n.context.Err() == nil && n.troubles.tell(fmt.Sprintf("resolve %d", node)) {
			n.log.Warn("address not resolved, the known one is used", "peer", node, "address", address, "cause", err)
		}
		return address
	}
	return resolved
}

func (n *Network) callResolve(ctx context.Context, node membership.NodeID, address string) (string, error) {
	if !n.resolving.enter(node) {
		return "", errResolveHangs
	}
	type answer struct {
		address string
		err     error
	}
	ctx, cancel := context.WithTimeout(ctx, n.config.HandshakeTimeout/2)
	defer cancel()
	answered := make(chan answer, 1)
	go func() {
		defer n.resolving.leave(node)
		resolved, err := n.config.Resolve(ctx, node, address)
		answered <- answer{resolved, err}
	}()
	select {
	case a := <-answered:
		return a.address, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// dialable reports whether an address names a host and a port.
func dialable(address string) bool {
	host, port, err := net.SplitHostPort(address)
	return err == nil && port != "" && port != "0" && !unspecified(host)
}

// unspecified reports whether a host stands for every interface.
func unspecified(host string) bool {
	ip := net.ParseIP(host)
	return host == "" || ip != nil && ip.IsUnspecified()
}
