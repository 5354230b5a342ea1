package actors

import (
	"sync"
	"testing"
)

func TestAdmissionBoundsEntriesAndBytes(t *testing.T) {
	for _, test := range []struct {
		name           string
		entries, bytes int
		ask            []int
		taken          int
		nodeEntriesMax int
		nodeBytesMax   int
	}{
		{"entries", 2, 1000, []int{10, 10, 10}, 2, 0, 0},
		{"bytes", 10, 25, []int{10, 10, 10}, 2, 0, 0},
		{"one larger than all", 10, 25, []int{100}, 1, 0, 0},
		{"entries of the node", 10, 1000, []int{10, 10, 10}, 1, 1, 0},
		{"bytes of the node", 10, 1000, []int{10, 10, 10}, 2, 0, 20},
	} {
		node := &admission{entriesMax: test.nodeEntriesMax, bytesMax: test.nodeBytesMax}
		c := &admission{entriesMax: test.entries, bytesMax: test.bytes, parent: node}
		taken := 0
		for _, bytes := range test.ask {
			if c.acquire(&Proposal{}, bytes, false) == admissionGranted {
				taken++
			}
		}
		if taken != test.taken {
			t.Errorf("%s: %d taken, want %d", test.name, taken, test.taken)
		}
	}
}

func TestAdmissionServesInOrder(t *testing.T) {
	var granted []int
	c := &admission{entriesMax: 1, bytesMax: 100, parent: &admission{}}
	c.granted = func(p *Proposal) { granted = append(granted, len(p.Data)) }
	var ps []*Proposal
	for i := range 4 {
		p := &Proposal{Data: make([]byte, i)}
		want := admissionQueued
		if i == 0 {
			want = admissionGranted
		}
		if got := c.acquire(p, 10, true); got != want {
			t.Fatalf("proposal %d: outcome %d, want %d", i, got, want)
		}
		ps = append(ps, p)
	}
	if c.acquire(&Proposal{}, 10, false) != admissionRefused {
		t.Error("somebody jumped the queue")
	}
	if !c.cancel(ps[2]) || c.cancel(ps[2]) {
		t.Error("a waiter is cancelled exactly once")
	}
	c.release(1, 10)
	c.release(1, 10)
	if len(granted) != 2 || granted[0] != 1 || granted[1] != 3 {
		t.Errorf("granted to %v, want 1 then 3", granted)
	}
	c.release(1, 10)
	if n, b := c.inflight(); n != 0 || b != 0 {
		t.Errorf("%d entries, %d bytes are left", n, b)
	}
	c.acquire(ps[0], 10, true)
	c.acquire(ps[1], 10, true)
	if left := c.close(); len(left) != 1 || left[0] != ps[1] {
		t.Errorf("closing left %v", left)
	}
	if c.acquire(&Proposal{}, 1, true) != admissionClosed {
		t.Error("room after the end")
	}
	c.release(1, 10)
}

func TestGroupsTakeTurnsAtTheNodesRoom(t *testing.T) {
	node := &admission{entriesMax: 1}
	var granted []string
	group := func(name string) *admission {
		return &admission{entriesMax: 10, bytesMax: 1000, parent: node, granted: func(*Proposal) { granted = append(granted, name) }}
	}
	a, b := group("a"), group("b")
	if a.acquire(&Proposal{}, 10, true) != admissionGranted {
		t.Fatal("no room at first")
	}
	b.acquire(&Proposal{}, 10, true)
	a.acquire(&Proposal{}, 10, true)
	a.release(1, 10)
	b.release(1, 10)
	a.release(1, 10)
	if len(granted) != 2 || granted[0] != "b" && granted[0] != "a" || granted[0] == granted[1] {
		t.Errorf("granted to %v, want both", granted)
	}
	if n, bytes := node.inflight(); n != 0 || bytes != 0 {
		t.Errorf("the node keeps %d entries, %d bytes", n, bytes)
	}
}

func TestRoomReturnedTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nothing noticed")
		}
	}()
	c := &admission{entriesMax: 1, bytesMax: 10, parent: &admission{}}
	c.acquire(&Proposal{}, 5, false)
	c.release(1, 5)
	c.release(1, 5)
}

func TestAdmissionUnderLoad(t *testing.T) {
	node := &admission{entriesMax: 12, bytesMax: 500}
	var wg sync.WaitGroup
	for range 3 {
		c := &admission{entriesMax: 8, bytesMax: 300, parent: node}
		c.granted = func(p *Proposal) { p.Completed(p) }
		for range 8 {
			wg.Go(func() {
				got := make(chan struct{}, 1)
				p := &Proposal{Completed: func(*Proposal) { got <- struct{}{} }}
				for i := range 500 {
					bytes := 10 + i%30
					if c.acquire(p, bytes, true) == admissionQueued {
						<-got
					}
					if n, b := c.inflight(); n > 8 || b > 300 {
						t.Errorf("%d entries, %d bytes are taken", n, b)
					}
					c.release(1, bytes)
				}
			})
		}
	}
	wg.Wait()
	if n, b := node.inflight(); n != 0 || b != 0 {
		t.Errorf("the node keeps %d entries, %d bytes", n, b)
	}
}

// TestGroupsTakeTurnsHoweverLongTheirLines: a group with many who wait leaves the
// node's room to another group after each of them.
func TestGroupsTakeTurnsHoweverLongTheirLines(t *testing.T) {
	node := &admission{entriesMax: 1}
	var granted string
	var holder *admission
	group := func(name string) *admission {
		c := &admission{entriesMax: 100, bytesMax: 1000, parent: node}
		c.granted = func(*Proposal) { granted, holder = granted+name, c }
		return c
	}
	a, b, c := group("a"), group("b"), group("c")
	holder = a
	a.acquire(&Proposal{}, 10, false)
	for range 4 {
		b.acquire(&Proposal{}, 10, true)
	}
	for range 2 {
		a.acquire(&Proposal{}, 10, true)
	}
	c.acquire(&Proposal{}, 10, true)
	for range 7 {
		holder.release(1, 10)
	}
	if want := "bacbabb"; granted != want {
		t.Errorf("granted to %s, want %s", granted, want)
	}
}

// TestTurnsAreKept: who needs more than came back keeps its turn, and others who
// need less do not pass it.
func TestTurnsAreKept(t *testing.T) {
	node := &admission{bytesMax: 100}
	granted := ""
	group := func(name string) *admission {
		return &admission{entriesMax: 100, bytesMax: 1000, parent: node, granted: func(*Proposal) { granted += name }}
	}
	a, b, c := group("a"), group("b"), group("c")
	a.acquire(&Proposal{}, 50, false)
	a.acquire(&Proposal{}, 50, false)
	b.acquire(&Proposal{}, 80, true)
	c.acquire(&Proposal{}, 20, true)
	c.acquire(&Proposal{}, 20, true)
	a.release(1, 50)
	if granted != "" {
		t.Errorf("granted to %s, want nobody: there is no room for the first", granted)
	}
	a.release(1, 50)
	if granted != "bc" {
		t.Errorf("granted to %s, want b, and c with what is left", granted)
	}
	b.release(1, 80)
	if granted != "bcc" {
		t.Errorf("granted to %s, want c's second one too", granted)
	}
}

// TestWhoComesLaterWaits: while a group waits for more of the node's room than there
// is, others that need less do not take it, whether they wait or not.
func TestWhoComesLaterWaits(t *testing.T) {
	for name, leave := range map[string]func(g *admission, p *Proposal){
		"it gets its room":  func(*admission, *Proposal) {},
		"it gives up":       func(g *admission, p *Proposal) { g.cancel(p) },
		"its group is over": func(g *admission, _ *Proposal) { g.close() },
	} {
		node := &admission{bytesMax: 100}
		granted := ""
		group := func(name string) *admission {
			return &admission{entriesMax: 100, bytesMax: 1000, parent: node, granted: func(*Proposal) { granted += name }}
		}
		a, b, c, d := group("a"), group("b"), group("c"), group("d")
		a.acquire(&Proposal{}, 50, false)
		a.acquire(&Proposal{}, 30, false)
		large := &Proposal{}
		if b.acquire(large, 80, true) != admissionQueued {
			t.Fatal("there is room")
		}
		if c.acquire(&Proposal{}, 20, true) != admissionQueued {
			t.Errorf("%s: who came later got the room that another one waits for", name)
		}
		if d.acquire(&Proposal{}, 20, false) != admissionRefused {
			t.Errorf("%s: who does not wait got the room that another one waits for", name)
		}
		leave(b, large)
		want := "c"
		if granted == "" {
			a.release(1, 50)
			a.release(1, 30)
			want = "bc"
		}
		if granted != want {
			t.Errorf("%s: granted to %q, want %q", name, granted, want)
		}
	}
}

// TestWhoDoesNotWaitHoldsUpNobody: a group that was refused and does not wait has no
// turn for which others would wait.
func TestWhoDoesNotWaitHoldsUpNobody(t *testing.T) {
	node := &admission{bytesMax: 100}
	a, b := &admission{parent: node}, &admission{parent: node}
	a.acquire(&Proposal{}, 50, false)
	if a.acquire(&Proposal{}, 80, false) != admissionRefused {
		t.Fatal("there is room")
	}
	if b.acquire(&Proposal{}, 20, true) != admissionGranted {
		t.Error("there is room, and nobody waits")
	}
}
