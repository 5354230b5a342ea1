package troupe

import "context"

// Start starts a node with a single group. The group's Shutdown and Kill stop
// the node as well. A program with several groups makes the node itself, with
// [NewNode].
func Start(ctx context.Context, node NodeConfig, group Config) (*Raft, error) {
	n, err := NewNode(node)
	if err != nil {
		return nil, err
	}
	raft, err := n.start(ctx, group, true)
	if err != nil {
		n.Kill()
		return nil, err
	}
	return raft, nil
}
