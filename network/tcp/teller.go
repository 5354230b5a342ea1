package tcp

import "sync"

// teller calls the handler about peers, in order, from a goroutine of its own
// that ends when there is nothing to tell: SetCluster may be called by a handler.
type teller struct {
	mu      sync.Mutex
	waiting []func()
	running bool
}

// tell has f called soon, unless the network is closed before.
func (n *Network) tell(f func()) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	t := &n.teller
	t.mu.Lock()
	defer t.mu.Unlock()
	if n.closed {
		return
	}
	t.waiting = append(t.waiting, f)
	if !t.running {
		t.running = n.start(n.tellAll)
	}
}

func (n *Network) tellAll() {
	t := &n.teller
	for {
		t.mu.Lock()
		all := t.waiting
		t.waiting = nil
		if len(all) == 0 {
			t.running = false
			t.mu.Unlock()
			return
		}
		t.mu.Unlock()
		for _, f := range all {
			if n.context.Err() == nil {
				f()
			}
		}
	}
}
