package admission

import (
	"sync"
	"testing"
)

// waiter is who asks for room in these tests.
type waiter struct {
	room Request[*waiter]
	n    int           // its number, where that counts
	got  chan struct{} // is sent to when it has its room, where that counts
}

// ask lets a new one ask.
func ask(r *Room[*waiter], bytes int, wait bool) Outcome { return (&waiter{}).ask(r, bytes, wait) }

func (w *waiter) ask(r *Room[*waiter], bytes int, wait bool) Outcome {
	return r.Acquire(&w.room, w, bytes, wait)
}

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
		node := New[*waiter](Limits{EntriesMax: test.nodeEntriesMax, BytesMax: test.nodeBytesMax}, nil, nil)
		c := New[*waiter](Limits{EntriesMax: test.entries, BytesMax: test.bytes}, node, nil)
		taken := 0
		for _, bytes := range test.ask {
			if ask(c, bytes, false) == Granted {
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
	node := New[*waiter](Limits{}, nil, nil)
	c := New(Limits{EntriesMax: 1, BytesMax: 100}, node, func(w *waiter) { granted = append(granted, w.n) })
	var ps []*waiter
	for i := range 4 {
		p := &waiter{n: i}
		want := Queued
		if i == 0 {
			want = Granted
		}
		if got := p.ask(c, 10, true); got != want {
			t.Fatalf("proposal %d: outcome %d, want %d", i, got, want)
		}
		ps = append(ps, p)
	}
	if ask(c, 10, false) != Refused {
		t.Error("somebody jumped the queue")
	}
	if !c.Cancel(&ps[2].room) || c.Cancel(&ps[2].room) {
		t.Error("a waiter is cancelled exactly once")
	}
	c.Release(1, 10)
	c.Release(1, 10)
	if len(granted) != 2 || granted[0] != 1 || granted[1] != 3 {
		t.Errorf("granted to %v, want 1 then 3", granted)
	}
	c.Release(1, 10)
	if n, b := c.Inflight(); n != 0 || b != 0 {
		t.Errorf("%d entries, %d bytes are left", n, b)
	}
	ps[0].ask(c, 10, true)
	ps[1].ask(c, 10, true)
	if left := c.Close(); len(left) != 1 || left[0] != ps[1] {
		t.Errorf("closing left %v", left)
	}
	if ask(c, 1, true) != Closed {
		t.Error("room after the end")
	}
	c.Release(1, 10)
}

func TestGroupsTakeTurnsAtTheNodesRoom(t *testing.T) {
	node := New[*waiter](Limits{EntriesMax: 1}, nil, nil)
	var granted []string
	group := func(name string) *Room[*waiter] {
		return New(Limits{EntriesMax: 10, BytesMax: 1000}, node, func(*waiter) { granted = append(granted, name) })
	}
	a, b := group("a"), group("b")
	if ask(a, 10, true) != Granted {
		t.Fatal("no room at first")
	}
	ask(b, 10, true)
	ask(a, 10, true)
	a.Release(1, 10)
	b.Release(1, 10)
	a.Release(1, 10)
	if len(granted) != 2 || granted[0] != "b" && granted[0] != "a" || granted[0] == granted[1] {
		t.Errorf("granted to %v, want both", granted)
	}
	if n, bytes := node.Inflight(); n != 0 || bytes != 0 {
		t.Errorf("the node keeps %d entries, %d bytes", n, bytes)
	}
}

func TestRoomReturnedTwicePanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("nothing noticed")
		}
	}()
	c := New(Limits{EntriesMax: 1, BytesMax: 10}, New[*waiter](Limits{}, nil, nil), nil)
	ask(c, 5, false)
	c.Release(1, 5)
	c.Release(1, 5)
}

func TestAdmissionUnderLoad(t *testing.T) {
	node := New[*waiter](Limits{EntriesMax: 12, BytesMax: 500}, nil, nil)
	var wg sync.WaitGroup
	for range 3 {
		c := New(Limits{EntriesMax: 8, BytesMax: 300}, node, func(w *waiter) { w.got <- struct{}{} })
		for range 8 {
			wg.Go(func() {
				p := &waiter{got: make(chan struct{}, 1)}
				for i := range 500 {
					bytes := 10 + i%30
					if p.ask(c, bytes, true) == Queued {
						<-p.got
					}
					if n, b := c.Inflight(); n > 8 || b > 300 {
						t.Errorf("%d entries, %d bytes are taken", n, b)
					}
					c.Release(1, bytes)
				}
			})
		}
	}
	wg.Wait()
	if n, b := node.Inflight(); n != 0 || b != 0 {
		t.Errorf("the node keeps %d entries, %d bytes", n, b)
	}
}

// TestGroupsTakeTurnsHoweverLongTheirLines: a group with many who wait leaves the
// node's room to another group after each of them.
func TestGroupsTakeTurnsHoweverLongTheirLines(t *testing.T) {
	node := New[*waiter](Limits{EntriesMax: 1}, nil, nil)
	var granted string
	var holder *Room[*waiter]
	group := func(name string) *Room[*waiter] {
		var c *Room[*waiter]
		c = New(Limits{EntriesMax: 100, BytesMax: 1000}, node, func(*waiter) { granted, holder = granted+name, c })
		return c
	}
	a, b, c := group("a"), group("b"), group("c")
	holder = a
	ask(a, 10, false)
	for range 4 {
		ask(b, 10, true)
	}
	for range 2 {
		ask(a, 10, true)
	}
	ask(c, 10, true)
	for range 7 {
		holder.Release(1, 10)
	}
	if want := "bacbabb"; granted != want {
		t.Errorf("granted to %s, want %s", granted, want)
	}
}

// TestTurnsAreKept: who needs more than came back keeps its turn, and others who
// need less do not pass it.
func TestTurnsAreKept(t *testing.T) {
	node := New[*waiter](Limits{BytesMax: 100}, nil, nil)
	granted := ""
	group := func(name string) *Room[*waiter] {
		return New(Limits{EntriesMax: 100, BytesMax: 1000}, node, func(*waiter) { granted += name })
	}
	a, b, c := group("a"), group("b"), group("c")
	ask(a, 50, false)
	ask(a, 50, false)
	ask(b, 80, true)
	ask(c, 20, true)
	ask(c, 20, true)
	a.Release(1, 50)
	if granted != "" {
		t.Errorf("granted to %s, want nobody: there is no room for the first", granted)
	}
	a.Release(1, 50)
	if granted != "bc" {
		t.Errorf("granted to %s, want b, and c with what is left", granted)
	}
	b.Release(1, 80)
	if granted != "bcc" {
		t.Errorf("granted to %s, want c's second one too", granted)
	}
}

// TestWhoComesLaterWaits: while a group waits for more of the node's room than there
// is, others that need less do not take it, whether they wait or not.
func TestWhoComesLaterWaits(t *testing.T) {
	for name, leave := range map[string]func(g *Room[*waiter], w *waiter){
		"it gets its room":  func(*Room[*waiter], *waiter) {},
		"it gives up":       func(g *Room[*waiter], w *waiter) { g.Cancel(&w.room) },
		"its group is over": func(g *Room[*waiter], _ *waiter) { g.Close() },
	} {
		node := New[*waiter](Limits{BytesMax: 100}, nil, nil)
		granted := ""
		group := func(name string) *Room[*waiter] {
			return New(Limits{EntriesMax: 100, BytesMax: 1000}, node, func(*waiter) { granted += name })
		}
		a, b, c, d := group("a"), group("b"), group("c"), group("d")
		ask(a, 50, false)
		ask(a, 30, false)
		large := &waiter{}
		if large.ask(b, 80, true) != Queued {
			t.Fatal("there is room")
		}
		if ask(c, 20, true) != Queued {
			t.Errorf("%s: who came later got the room that another one waits for", name)
		}
		if ask(d, 20, false) != Refused {
			t.Errorf("%s: who does not wait got the room that another one waits for", name)
		}
		leave(b, large)
		want := "c"
		if granted == "" {
			a.Release(1, 50)
			a.Release(1, 30)
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
	node := New[*waiter](Limits{BytesMax: 100}, nil, nil)
	a, b := New[*waiter](Limits{}, node, nil), New[*waiter](Limits{}, node, nil)
	ask(a, 50, false)
	if ask(a, 80, false) != Refused {
		t.Fatal("there is room")
	}
	if ask(b, 20, true) != Granted {
		t.Error("there is room, and nobody waits")
	}
}
