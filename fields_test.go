package troupe

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/trouperaft/troupe/actors"
	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
)

// fill gives each field of a struct, and of those in it, a value that no other
// has, counted from n.
func fill(v reflect.Value, n *uint64) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Array:
		v.Index(0).SetUint(*n % 256)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{fmt.Sprint(*n): "tag"}))
	case reflect.Interface:
		v.Set(reflect.ValueOf(errors.New(fmt.Sprint(*n))))
	case reflect.String:
		v.SetString(fmt.Sprint(*n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Uint8:
		v.SetUint(*n % 256)
	case reflect.Uint32, reflect.Uint64:
		v.SetUint(*n)
	default:
		v.SetInt(int64(*n))
	}
}

// told asserts that each field of got has what the field of the same name in one
// of from has, or what elsewhere says.
func told(t *testing.T, got reflect.Value, elsewhere map[string]any, from ...reflect.Value) {
	t.Helper()
	for i := range got.NumField() {
		name := got.Type().Field(i).Name
		want, found := elsewhere[name]
		for _, f := range from {
			if field := f.FieldByName(name); field.IsValid() && !found {
				want, found = field.Interface(), true
			}
		}
		if !found {
			t.Errorf("%v.%s is said by nobody", got.Type(), name)
		} else if value := got.Field(i).Interface(); !reflect.DeepEqual(value, want) {
			t.Errorf("%v.%s is %v, and the group said %v", got.Type(), name, value, want)
		}
	}
}

// TestStatusTellsAll: what a group says of itself arrives in the field of its name.
func TestStatusTellsAll(t *testing.T) {
	var s actors.Status
	n := uint64(0)
	fill(reflect.ValueOf(&s).Elem(), &n)
	got := statusOf(s)
	told(t, reflect.ValueOf(got), map[string]any{
		"Configuration": s.Configuration.Configuration, "ConfigurationAt": s.Configuration.LogID, "Peers": got.Peers, "Lease": s.LeaseLeft,
		"Priority":   uint32(0), // of no member
		"FirstIndex": s.Purged + 1,
		"Joining":    "", // the handle adds it
		"Receiving":  got.Receiving,
	}, reflect.ValueOf(s))
	told(t, reflect.ValueOf(got.Receiving), map[string]any{"From": s.Receiving.Peer}, reflect.ValueOf(s.Receiving))
	if len(got.Peers) != len(s.Peers) {
		t.Fatalf("%d peers, want %d", len(got.Peers), len(s.Peers))
	}
	for i := range got.Peers {
		p := &got.Peers[i]
		estimates := map[string]any{"CatchUpPercent": p.CatchUpPercent, "CatchUpRate": p.CatchUpRate, "CatchUpLeft": p.CatchUpLeft}
		told(t, reflect.ValueOf(*p), estimates, reflect.ValueOf(s.Peers[i]))
	}
	got.Peers[0].Match, got.WaitsFor[0].Why, got.Configuration.Voters[0] = 0, "", Identity{}
	if s.Peers[0].Match == 0 || s.WaitsFor[0].Why == "" || s.Configuration.Configuration.Voters[0].IsZero() {
		t.Error("the status shares a slice with the group")
	}
}

// TestEventTellsAll: the same of an event.
func TestEventTellsAll(t *testing.T) {
	var e actors.Event
	n := uint64(0)
	fill(reflect.ValueOf(&e).Elem(), &n)
	got := eventOf(&e, 7)
	told(t, reflect.ValueOf(got), map[string]any{"Dropped": uint64(7)}, reflect.ValueOf(e))
	e.Kind = core.NoticeNewLeader
	if got := eventOf(&e, 0).String(); got != e.Notice.String() {
		t.Errorf("an event is written %q, and its notice %q", got, e.Notice)
	}
}

func TestPeerStatusIsALine(t *testing.T) {
	p := PeerStatus{
		Identity: membership.Identity{ID: 2, Incarnation: 0xabc}, Match: 5, LagEntries: 4, Lag: 1500 * time.Millisecond, Mode: StreamReplicate,
		InflightMessages: 2, InflightBytes: 99, LastContact: 250 * time.Millisecond, SendErrors: 3, SnapshotBytes: 10, SnapshotTotalBytes: 20,
	}
	const want = "2/abc: replicate, match 5, 4 entries and 1.5s behind, 2 messages and 99 bytes in flight, last contact 250ms, 3 send errors, snapshot 10 of 20 bytes"
	if got := fmt.Sprint(p); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
