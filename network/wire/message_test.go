package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"math/rand"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/network"
	pb "github.com/trouperaft/troupe/network/wire/internal/troupepb"
)

func TestEveryMessageHasAKind(t *testing.T) {
	sealed := make(map[string]bool)
	files, err := filepath.Glob("../../core/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sources of core: %v", err)
	}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == "Response" && f.Recv != nil {
				sealed[f.Recv.List[0].Type.(*ast.StarExpr).X.(*ast.Ident).Name] = true
			}
		}
	}
	if len(sealed) < 15 {
		t.Fatalf("only %d message types were found in core", len(sealed))
	}
	for kind, m := range messages {
		if KindOf(m) != kind {
			t.Errorf("KindOf(%T) = %d, want %d", m, KindOf(m), kind)
		}
		delete(sealed, reflect.TypeOf(m).Elem().Name())
	}
	for name := range sealed {
		t.Errorf("core.%s has no kind", name)
	}
	if len(messages) != int(kindEnd)-1 {
		t.Errorf("%d kinds are tested, there are %d", len(messages), kindEnd-1)
	}
}

func TestRoundTrip(t *testing.T) {
	for kind, empty := range messages {
		t.Run(reflect.TypeOf(empty).Elem().Name(), func(t *testing.T) {
			random := rand.New(rand.NewSource(int64(kind)))
			for range 300 {
				m := drawn(t, kind, random)
				prefix := []byte("before")
				b, err := AppendMessage(prefix, m)
				if err != nil {
					t.Fatalf("%+v: %v", m, err)
				}
				if !bytes.HasPrefix(b, prefix) {
					t.Fatal("what stood before was changed")
				}
				payload := b[len(prefix):]
				if bound := network.SizeBytes(m); len(payload)+FrameOverheadBytes > bound {
					t.Fatalf("%d bytes, SizeBytes says at most %d: %+v", len(payload), bound, m)
				}
				got, err := DecodeMessage(kind, payload)
				if err != nil {
					t.Fatalf("%+v: %v", m, err)
				}
				if !reflect.DeepEqual(got, m) {
					t.Fatalf("got  %+v\nwant %+v", got, m)
				}
			}
		})
	}
}

// Without the largest numbers the bound of SizeBytes is never put to the test.
func TestSizeBytesBoundsTheLargest(t *testing.T) {
	const most = math.MaxUint64
	id := core.LogID{Term: most, Index: most}
	header := core.Header{
		Group: most, Cluster: cluster(most), Introduces: true, From: core.Identity{ID: most, Incarnation: most},
		To: core.Identity{ID: most, Incarnation: most}, Term: most,
	}
	proposals := make([]core.ForwardedProposal, 1000)
	results := make([]core.ForwardedResult, 1000)
	entries := make([]core.Entry, 1000)
	traces := make([]core.EntryTrace, 1000)
	for i := range proposals {
		proposals[i] = core.ForwardedProposal{ID: most, ExpectedTerm: most, Data: []byte{1}, Trace: core.TraceContext{1}, Refuse: true, Version: most}
		traces[i] = core.EntryTrace{Index: most, Context: core.TraceContext{1}}
		results[i] = core.ForwardedResult{ID: most, Code: core.ResultVersion, LogID: id, Value: []byte{1}, Error: "e", LimitBytes: most, NeedsVersion: math.MaxUint32}
		entries[i] = core.Entry{LogID: core.LogID{Term: most, Index: core.Index(i + 1)}, Kind: core.EntryCommand, Version: most, Data: []byte{1}}
		if entries[i].Time = math.MinInt64; i%2 == 0 {
			entries[i].Time = math.MaxInt64
		}
	}
	c := configuration(rand.New(rand.NewSource(2)))
	changes := make([]membership.Change, 100)
	for i := range changes {
		changes[i] = membership.Change{
			Op: math.MaxUint8, ID: most, Incarnation: most, Address: "a", Priority: math.MaxUint32, Tags: map[string]string{"": "", "k": "v"}, Voters: []core.NodeID{most, most},
			KeepAsLearner: true, Force: true,
		}
	}
	for _, m := range []core.Message{
		&core.Heartbeat{Header: header, Round: most, Stream: most, Commit: most, VersionMin: most, Change: &core.ChangeTold{
			ChangeStatus: core.ChangeStatus{State: math.MaxUint8, ID: most, Since: -1}, WaitsFor: slices.Repeat([]core.Waiting{{Node: most, Why: strings.Repeat("x", 300)}}, core.ChangeToldWaitsMax),
		}},
		&core.AppendResponse{Header: header, Stream: most, Success: true, Match: most, Rejected: id, Hint: id},
		&core.VoteRequest{Header: header, Pre: true, ElectionTerm: most, Campaign: most, Last: id, Transfer: true, Trace: core.TraceContext{1}},
		&core.HeartbeatResponse{Header: header, Round: most, Stream: most, PromiseMillis: math.MaxUint32, Match: most, Applied: most, Accepted: most, Unfit: math.MaxUint8},
		&core.TimeoutNow{Header: header, Transfer: most, ByHand: true, Trace: core.TraceContext{1}},
		&core.TransferResponse{Header: header, ID: most, Reason: math.MaxUint8, Target: most, Leader: most, LeaderTerm: most, Sent: true, Text: "x"},
		&core.ChangeRequest{Header: header, ID: most, Trace: core.TraceContext{1}, Order: core.ChangeOrder{
			Order:        membership.Order{ID: most, Changes: changes, Since: -1, CatchUpLimit: -1, KeepAdded: true, Automatic: true},
			ExpectedTerm: most, ExpectedIndex: most, DryRun: true, Cancel: true,
		}},
		&core.ChangeResponse{
			Header: header, ID: most, Code: math.MaxUint8, Change: most, At: id, Leader: most, Steps: []membership.Configuration{c, c}, Reason: math.MaxUint8, Wrong: changes[0],
			Node: most, Lag: most, Age: -1, LastContact: -1, Joint: true, Index: most, Text: "x",
		},
		&core.Removed{Header: header, At: id, Change: 0xabc},
		&core.ReadIndexRequest{Header: header, ID: most, Trace: core.TraceContext{1}},
		&core.ProposeRequest{Header: header, Proposals: proposals},
		&core.ProposeResponse{Header: header, Results: results},
		&core.AppendEntries{Header: header, Stream: most, Entries: entries, Commit: most, Traces: traces},
		&core.SnapshotChunk{Header: header, Stream: most, Transfer: most, Offset: most, Done: true, HeadBytes: most, Trace: core.TraceContext{1}, Meta: core.SnapshotMeta{
			LogID: id, Time: -1, SizeBytes: most, Checksum: math.MaxUint32,
			Configuration: core.ConfigurationAt{LogID: id, Configuration: c},
		}},
	} {
		b, err := AppendMessage(nil, m)
		if err != nil {
			t.Fatal(err)
		}
		if bound := network.SizeBytes(m); len(b)+FrameOverheadBytes > bound {
			t.Errorf("%T: %d bytes, SizeBytes says at most %d", m, len(b), bound)
		}
	}
}

// What is encoded by hand must be what the schema says, both ways.
func TestHandWrittenIsTheSchema(t *testing.T) {
	random := rand.New(rand.NewSource(3))
	for kind, p := range map[Kind]proto.Message{
		KindHeartbeat: &pb.Heartbeat{}, KindHeartbeatResponse: &pb.HeartbeatResponse{},
		KindAppendEntries: &pb.AppendEntries{}, KindAppendResponse: &pb.AppendResponse{},
		KindSnapshotChunk:  &pb.SnapshotChunk{},
		KindProposeRequest: &pb.ProposeRequest{}, KindProposeResponse: &pb.ProposeResponse{},
		KindChangeRequest: &pb.ChangeRequest{}, KindChangeResponse: &pb.ChangeResponse{}, KindRemoved: &pb.Removed{},
	} {
		for range 100 {
			m := drawn(t, kind, random)
			written, err := AppendMessage(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			if err := proto.Unmarshal(written, p); err != nil {
				t.Fatalf("%T is not as the schema says: %v", m, err)
			}
			if unknown := p.ProtoReflect().GetUnknown(); len(unknown) > 0 {
				t.Fatalf("%T: the schema lacks fields: %x", m, unknown)
			}
			generated, err := marshal.Marshal(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := DecodeMessage(kind, generated)
			if err != nil || !reflect.DeepEqual(got, m) {
				t.Fatalf("%v: got  %+v\nwant %+v", err, got, m)
			}
		}
	}
	// Field by field, so that two that were confused on both ways are found.
	m := &core.AppendEntries{Header: header(), Stream: 5, Prev: core.LogID{Term: 6, Index: 7}, Commit: 8, CommitOnly: true,
		Traces: []core.EntryTrace{{Index: 9, Context: core.TraceContext{10, 24: 11}}}}
	b, _ := AppendMessage(nil, m)
	var p pb.AppendEntries
	if err := proto.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	want := &pb.AppendEntries{Header: headerToProto(&m.Header), Stream: 5, Prev: &pb.LogID{Term: 6, Index: 7}, Commit: 8, CommitOnly: true,
		Traces: []*pb.EntryTrace{{Index: 9, Context: append([]byte{10}, append(make([]byte, 23), 11)...)}}}
	if !proto.Equal(&p, want) {
		t.Errorf("got %v, want %v", &p, want)
	}
}

func header() core.Header {
	return core.Header{Group: 1, Cluster: cluster(2), Introduces: true, From: core.Identity{ID: 3, Incarnation: 4}, To: core.Identity{ID: 5, Incarnation: 6}, Term: 7}
}

func TestUnknownFieldsAreSkipped(t *testing.T) {
	random := rand.New(rand.NewSource(4))
	for kind := range messages {
		m := drawn(t, kind, random)
		b := protowire.AppendVarint(protowire.AppendTag(nil, 900, protowire.VarintType), 77)
		b, err := AppendMessage(b, m)
		if err != nil {
			t.Fatal(err)
		}
		b = protowire.AppendBytes(protowire.AppendTag(b, 901, protowire.BytesType), []byte("later"))
		b = protowire.AppendFixed32(protowire.AppendTag(b, 902, protowire.Fixed32Type), 1)
		if got, err := DecodeMessage(kind, b); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%T: %v\ngot  %+v\nwant %+v", m, err, got, m)
		}
	}
}

func TestEveryCutIsAnError(t *testing.T) {
	random := rand.New(rand.NewSource(5))
	for kind := range messages {
		frame, err := AppendFrame(nil, drawn(t, kind, random), FrameBytesDefault)
		if err != nil {
			t.Fatal(err)
		}
		for n := 1; n < len(frame); n++ {
			_, err := NewFrameReader(bytes.NewReader(frame[:n]), FrameBytesDefault).Next()
			if !errors.Is(err, network.ErrFrame) {
				t.Fatalf("kind %d cut to %d of %d bytes: %v", kind, n, len(frame), err)
			}
		}
		for bit := 0; bit < 8*len(frame); bit += 5 {
			flipped := bytes.Clone(frame)
			flipped[bit/8] ^= 1 << (bit % 8)
			_, err := NewFrameReader(bytes.NewReader(flipped), FrameBytesDefault).Next()
			if !errors.Is(err, network.ErrFrame) && !errors.Is(err, network.ErrFrameTooLarge) {
				t.Fatalf("kind %d with bit %d flipped: %v", kind, bit, err)
			}
		}
	}
}

func TestEncoderRefuses(t *testing.T) {
	entry := func(term core.Term, index core.Index) core.Entry {
		return core.Entry{LogID: core.LogID{Term: term, Index: index}, Kind: core.EntryCommand}
	}
	appendOf := func(entries ...core.Entry) core.Message {
		return &core.AppendEntries{Header: header(), Prev: core.LogID{Term: 3, Index: 9}, Entries: entries}
	}
	from := func(change func(h *core.Header)) core.Message {
		m := &core.Heartbeat{Header: header()}
		change(&m.Header)
		return m
	}
	for _, c := range []struct {
		name, want string
		m          core.Message
	}{
		{"a hole", "entry 3.11 after 3.9", appendOf(entry(3, 11))},
		{"a second hole", "entry 3.12 after 3.10", appendOf(entry(3, 10), entry(3, 12))},
		{"a falling term", "entry 2.10 after 3.9", appendOf(entry(2, 10))},
		{"an unknown kind", "kind 0", appendOf(core.Entry{LogID: core.LogID{Term: 3, Index: 10}})},
		{"no group", "group 0", from(func(h *core.Header) { h.Group = 0 })},
		{"from no node", "from nobody", from(func(h *core.Header) { h.From.ID = 0 })},
		{"from no incarnation", "from nobody", from(func(h *core.Header) { h.From.Incarnation = 0 })},
		{"to nobody", "to nobody", from(func(h *core.Header) { h.To.ID = 0 })},
		{"no code", "code 0", &core.ProposeResponse{Header: header(), Results: make([]core.ForwardedResult, 1)}},
		{"no reason", "reason 0", &core.Refusal{Header: header()}},
		{"an empty proposal without an id", "an empty proposal", &core.ProposeRequest{Header: header(), Proposals: make([]core.ForwardedProposal, 1)}},
		{"too many proposals", "at most", &core.ProposeRequest{Header: header(), Proposals: make([]core.ForwardedProposal, ItemsMax+1)}},
	} {
		b, err := AppendFrame([]byte("before"), c.m, FrameBytesDefault)
		if err == nil || !strings.Contains(err.Error(), c.want) || string(b) != "before" {
			t.Errorf("%s: %q, %v; want an error with %q", c.name, b, err, c.want)
		}
	}
}

func TestDecoderRefuses(t *testing.T) {
	head := appendHeader(nil, &core.Header{Group: 1, From: core.Identity{ID: 1, Incarnation: 1}, To: core.Identity{ID: 2}, Term: 1})
	block := func(prev core.LogID, b ...byte) []byte {
		return appendBytes(appendLogID(bytes.Clone(head), 3, prev), 5, b)
	}
	result := func(b ...byte) []byte { return appendBytes(bytes.Clone(head), 2, b) }
	proposal := result
	zero := core.LogID{}
	for _, c := range []struct {
		name    string
		kind    Kind
		payload []byte
	}{
		{"nothing", KindHeartbeat, nil},
		{"an unknown kind", kindEnd, head},
		{"kind 255", 255, head},
		{"block of another version", KindAppendEntries, block(zero, 3, 0)},
		{"a version that does not end", KindAppendEntries, block(zero, 2, 1, 1, 2, 0x80)},
		{"block without a count", KindAppendEntries, block(zero, 1)},
		{"more entries than bytes", KindAppendEntries, block(zero, 1, 2, 1, 2, 0, 0)},
		{"a count beyond everything", KindAppendEntries, block(zero, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1)},
		{"an index that overflows", KindAppendEntries, block(core.LogID{Term: 1, Index: math.MaxUint64}, 1, 1, 0, 2, 0, 0)},
		{"a term that overflows", KindAppendEntries, block(core.LogID{Term: math.MaxUint64, Index: 1}, 1, 1, 2, 2, 0, 0)},
		{"an entry of term 0", KindAppendEntries, block(zero, 1, 1, 0, 2, 0, 0)},
		{"an entry of kind 0", KindAppendEntries, block(zero, 1, 1, 1, 0, 0, 0)},
		{"an entry of kind 4", KindAppendEntries, block(zero, 1, 1, 1, 4, 0, 0)},
		{"data beyond the block", KindAppendEntries, block(zero, 1, 1, 1, 2, 0, 1)},
		{"bytes after the last entry", KindAppendEntries, block(zero, 1, 1, 1, 2, 0, 0, 0)},
		{"bytes after no entry", KindAppendEntries, block(zero, 1, 0, 0)},
		{"a proposal of no byte", KindProposeRequest, append(bytes.Clone(head), 0x12, 0)},
		{"a proposal of one byte", KindProposeRequest, append(bytes.Clone(head), 0x12, 1, 8)},
		{"a proposal of zeros", KindProposeRequest, proposal(8, 0, 16, 0)},
		{"a proposal of unknown fields", KindProposeRequest, proposal(120, 1)},
		{"a proposal that is a number", KindProposeRequest, append(bytes.Clone(head), 0x10, 1)},
		{"a result of no byte", KindProposeResponse, append(bytes.Clone(head), 0x12, 0)},
		{"a result without a code", KindProposeResponse, result(8, 1)},
		{"a result of code 10", KindProposeResponse, result(16, 10)},
		{"a result of code 257", KindProposeResponse, result(16, 0x81, 2)},
		{"a refusal for no reason", KindRefusal, head},
		{"a number where a message belongs", KindHeartbeat, []byte{8, 1}},
		{"a promise beyond 32 bits", KindHeartbeatResponse, append(bytes.Clone(head), 32, 0xff, 0xff, 0xff, 0xff, 0xff, 1)},
		{"an unfitness beyond a byte", KindHeartbeatResponse, append(bytes.Clone(head), 64, 0x80, 2)},
		{"a refused campaign, beyond a byte", KindTimeoutNowResponse, append(bytes.Clone(head), 24, 0x80, 2)},
		{"a reason beyond a byte", KindTransferResponse, append(bytes.Clone(head), 24, 0x80, 2)},
		{"a change that does nothing", KindChangeRequest, append(bytes.Clone(head), 0x22, 0)},
		{"an op beyond a byte", KindChangeRequest, append(bytes.Clone(head), 0x22, 3, 8, 0x80, 2)},
		{"a voter that does not end", KindChangeRequest, append(bytes.Clone(head), 0x22, 5, 8, 1, 0x3a, 1, 0x80)},
		{"a code beyond a byte", KindChangeResponse, append(bytes.Clone(head), 24, 0x80, 2)},
		{"a step that is none", KindChangeResponse, append(bytes.Clone(head), 0x3a, 1, 9)},
		{"a part that has no end", KindSnapshotResponse, appendBytes(bytes.Clone(head), 7, []byte{1, 2, 3})},
		{"too many parts", KindSnapshotResponse, appendBytes(bytes.Clone(head), 7, make([]byte, 2*core.HadMax+2))},
		{"a damaged configuration", KindSnapshotChunk, appendBytes(bytes.Clone(head), 4, appendBytes(nil, 5, []byte{1, 9}))},
	} {
		if m, err := DecodeMessage(c.kind, c.payload); !errors.Is(err, network.ErrFrame) || m != nil {
			t.Errorf("%s: %+v, %v", c.name, m, err)
		}
	}
	// The counterpart: the same block without the fault is taken.
	if m, err := DecodeMessage(KindAppendEntries, block(zero, 1, 1, 1, 2, 0, 0)); err != nil {
		t.Errorf("a good block: %+v, %v", m, err)
	}
	m, err := DecodeMessage(KindAppendEntries, block(zero, 2, 2, 1, 2, 7, 0, 0, 0, 2, 0, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if e := m.(*core.AppendEntries).Entries; len(e) != 2 || e[0].Version != 7 || e[1].Version != 0 {
		t.Errorf("a block with versions: %+v", e)
	}
}

func TestTooManyItems(t *testing.T) {
	b := appendHeader(nil, &core.Header{Group: 1, From: core.Identity{ID: 1, Incarnation: 1}, To: core.Identity{ID: 2}, Term: 1})
	for range ItemsMax + 1 {
		b = append(b, 0x12, 2, 8, 1)
	}
	if _, err := DecodeMessage(KindProposeRequest, b[:len(b)-4]); err != nil {
		t.Errorf("%d proposals: %v", ItemsMax, err)
	}
	if _, err := DecodeMessage(KindProposeRequest, b); !errors.Is(err, network.ErrFrame) {
		t.Errorf("%d proposals: %v", ItemsMax+1, err)
	}
}

// TestDecodingIsNoAmplifier: what a list makes the decoder allocate is bounded by
// the bytes that it takes on the wire, also if it is refused in the end.
func TestDecodingIsNoAmplifier(t *testing.T) {
	const timesMax = 24 // a struct or a map's slot over the least bytes of one
	head := appendHeader(nil, &core.Header{Group: 1, From: core.Identity{ID: 1, Incarnation: 1}, To: core.Identity{ID: 2}, Term: 1})
	repeated := func(item ...byte) []byte { return append(bytes.Clone(head), bytes.Repeat(item, ItemsMax)...) }
	configuration := func(item ...byte) []byte {
		c := append([]byte{1}, bytes.Repeat(item, max(membership.MembersMax, 1<<15/len(item)))...)
		return appendBytes(bytes.Clone(head), 4, appendBytes(nil, 5, c))
	}
	trace := appendBytes([]byte{8, 1}, 2, bytes.Repeat([]byte{1}, len(core.TraceContext{})))
	var tags []byte
	for k := range byte(membership.TagsMax) {
		tags = append(tags, 5, 2, 1, k)
	}
	for _, c := range []struct {
		name    string
		kind    Kind
		payload []byte
	}{
		{"proposals of no byte", KindProposeRequest, repeated(0x12, 0)},
		{"the shortest proposals", KindProposeRequest, repeated(0x12, 2, 8, 1)},
		{"results of no byte", KindProposeResponse, repeated(0x12, 0)},
		{"the shortest results", KindProposeResponse, repeated(0x12, 2, 16, 1)},
		{"results without a code", KindProposeResponse, repeated(0x12, 2, 8, 1)},
		{"the shortest entries", KindAppendEntries, appendBytes(bytes.Clone(head), 5,
			slices.Concat([]byte{entriesVersion}, binary.AppendUvarint(nil, ItemsMax), []byte{1, 1, 0, 0}, bytes.Repeat([]byte{0, 1, 0, 0}, ItemsMax-1)))},
		{"traces without a context", KindAppendEntries, repeated(0x3a, 2, 8, 1)},
		{"the shortest traces", KindAppendEntries, repeated(append([]byte{0x3a, byte(len(trace))}, trace...)...)},
		{"the shortest changes", KindChangeRequest, repeated(0x22, 2, 8, 1)},
		{"changes of no byte", KindChangeRequest, repeated(0x22, 0)},
		{"a change's tags", KindChangeRequest, appendBytes(bytes.Clone(head), 4, bytes.Repeat([]byte{0x32, 3, 10, 1, 'k'}, ItemsMax))},
		{"a change's voters", KindChangeRequest, appendBytes(bytes.Clone(head), 4, appendBytes(nil, 7, bytes.Repeat([]byte{1}, ItemsMax)))},
		{"steps of no byte", KindChangeResponse, repeated(0x3a, 0)},
		{"a snapshot's members", KindSnapshotChunk, configuration(1, 0)},
		{"a snapshot's voters", KindSnapshotChunk, configuration(2, 0)},
		{"a snapshot's outgoing voters", KindSnapshotChunk, configuration(3, 0)},
		{"a snapshot's wanted members", KindSnapshotChunk, configuration(4, 0)},
		{"a snapshot's member's tags", KindSnapshotChunk, configuration(append(binary.AppendUvarint([]byte{1}, uint64(len(tags))), tags...)...)},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := DecodeMessage(c.kind, c.payload)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > timesMax*uint64(len(c.payload)) {
			t.Errorf("%s: %d KiB of input made the decoder allocate %d KiB: %v", c.name, len(c.payload)>>10, took>>10, err)
		} else {
			t.Logf("%s: %.1f times its input: %v", c.name, float64(took)/float64(len(c.payload)), err)
		}
	}
}

// What is not traced adds no byte to a message.
func TestNoContextNoBytes(t *testing.T) {
	for _, m := range []struct{ without, with core.Message }{
		{&core.VoteRequest{Header: header(), ElectionTerm: 5}, &core.VoteRequest{Header: header(), ElectionTerm: 5, Trace: core.TraceContext{1}}},
		{&core.TimeoutNow{Header: header(), Transfer: 5}, &core.TimeoutNow{Header: header(), Transfer: 5, Trace: core.TraceContext{1}}},
		{&core.ChangeRequest{Header: header(), ID: 5}, &core.ChangeRequest{Header: header(), ID: 5, Trace: core.TraceContext{1}}},
		{&core.TransferRequest{Header: header(), ID: 5}, &core.TransferRequest{Header: header(), ID: 5, Trace: core.TraceContext{1}}},
		{&core.ReadIndexRequest{Header: header(), ID: 5}, &core.ReadIndexRequest{Header: header(), ID: 5, Trace: core.TraceContext{1}}},
	} {
		without, err := AppendMessage(nil, m.without)
		with, errWith := AppendMessage(nil, m.with)
		if err != nil || errWith != nil || len(with)-len(without) != 27 || !bytes.HasPrefix(with, without) {
			t.Errorf("%T: %x, %v; traced %x, %v", m.with, without, err, with, errWith)
		}
	}
}

// A context of another length, as a later version may have it, costs the trace
// and not the message.
func TestContextsOfOtherLengthsAreSkipped(t *testing.T) {
	for _, n := range []int{0, 24, 26} {
		head := header()
		context := bytes.Repeat([]byte{7}, n)
		b := appendHeader(nil, &head)
		b = appendBytes(b, 7, appendBytes(appendUint(nil, 1, 5), 2, context))
		m, err := DecodeMessage(KindAppendEntries, b)
		if err != nil || len(m.(*core.AppendEntries).Traces) != 0 {
			t.Errorf("an append with a context of %d bytes: %+v, %v", n, m, err)
		}
		b = appendBytes(appendHeader(nil, &head), 2, appendBytes(appendBytes(nil, 3, []byte("data")), 4, context))
		m, err = DecodeMessage(KindProposeRequest, b)
		if err != nil || string(m.(*core.ProposeRequest).Proposals[0].Data) != "data" || !m.(*core.ProposeRequest).Proposals[0].Trace.IsZero() {
			t.Errorf("a proposal with a context of %d bytes: %+v, %v", n, m, err)
		}
		b = appendBytes(appendUint(appendHeader(nil, &head), 3, 5), 7, context)
		m, err = DecodeMessage(KindVoteRequest, b)
		if err != nil || m.(*core.VoteRequest).ElectionTerm != 5 || !m.(*core.VoteRequest).Trace.IsZero() {
			t.Errorf("a vote request with a context of %d bytes: %+v, %v", n, m, err)
		}
		b = appendBytes(appendUint(appendHeader(nil, &head), 2, 5), 3, context)
		m, err = DecodeMessage(KindReadIndexRequest, b)
		if err != nil || m.(*core.ReadIndexRequest).ID != 5 || !m.(*core.ReadIndexRequest).Trace.IsZero() {
			t.Errorf("a read request with a context of %d bytes: %+v, %v", n, m, err)
		}
	}
}
