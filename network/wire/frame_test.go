package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand"
	"reflect"
	"runtime"
	"testing"
	"testing/iotest"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/network"
)

func TestFramesOfAllSizes(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	var want []core.Message
	var stream []byte
	for i := range 60 {
		m := drawn(t, KindVoteRequest+Kind(i)%(kindEnd-1), random)
		if chunk, ok := m.(*core.SnapshotChunk); ok {
			chunk.Data = bytes.Repeat([]byte{byte(i)}, 1+random.Intn(3*readBufferBytes))
		}
		if i == 40 {
			m = &core.SnapshotChunk{Header: header(), Meta: core.SnapshotMeta{Cluster: header().Cluster}, Data: make([]byte, 5<<20)}
		}
		var err error
		if stream, err = AppendFrame(stream, m, FrameBytesDefault); err != nil {
			t.Fatal(err)
		}
		if stream, err = AppendFrame(stream, nil, FrameBytesDefault); err != nil {
			t.Fatal(err)
		}
		want = append(want, m)
	}
	for name, source := range map[string]io.Reader{
		"whole": bytes.NewReader(stream), "half reads": iotest.HalfReader(bytes.NewReader(stream)),
		"the end with the data": iotest.DataErrReader(bytes.NewReader(stream)),
	} {
		reader := NewFrameReader(source, FrameBytesDefault)
		var got []core.Message
		for {
			f, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Message != nil {
				got = append(got, f.Message)
			}
		}
		// Compared at the end: messages that share a buffer would be overwritten by now.
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the messages differ", name)
		}
	}
}

// TestBodiesAreReadIntoAgain: a piece of a snapshot is read into the memory of one that was
// recycled, and into no other.
func TestBodiesAreReadIntoAgain(t *testing.T) {
	const pieces, size = 64, 512 << 10
	var stream []byte
	for i := range pieces {
		m := &core.SnapshotChunk{Header: header(), Meta: core.SnapshotMeta{Cluster: header().Cluster}, Data: bytes.Repeat([]byte{byte(i)}, size)}
		var err error
		if stream, err = AppendFrame(stream, m, FrameBytesDefault); err != nil {
			t.Fatal(err)
		}
	}
	read := func(then func(*core.SnapshotChunk)) (allocated uint64) {
		reader := NewFrameReader(bytes.NewReader(stream), FrameBytesDefault)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range pieces {
			f, err := reader.Next()
			if err != nil {
				t.Fatal(err)
			}
			then(f.Message.(*core.SnapshotChunk))
		}
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	if allocated := read(func(m *core.SnapshotChunk) { Recycle(m.Data) }); allocated > pieces*size/2 && !raceEnabled {
		t.Errorf("%d pieces of %d bytes that were recycled have cost %d bytes", pieces, size, allocated)
	}
	var kept []*core.SnapshotChunk
	read(func(m *core.SnapshotChunk) { kept = append(kept, m) })
	for i, m := range kept {
		if !bytes.Equal(m.Data, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Errorf("piece %d, which was kept, is overwritten", i)
		}
	}
}

func TestFrameReaderRefuses(t *testing.T) {
	good, err := AppendFrame(nil, &core.Heartbeat{Header: header()}, FrameBytesDefault)
	if err != nil {
		t.Fatal(err)
	}
	framed := func(length uint32, body ...byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, length)
		b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
		return append(b, body...)
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		want  error
	}{
		{"the end", nil, io.EOF},
		{"an empty frame", framed(0), network.ErrFrame},
		{"half a header", good[:5], network.ErrFrame},
		{"half a frame", good[:20], network.ErrFrame},
		{"too large", framed(1 << 20), network.ErrFrameTooLarge},
		{"as large as can be said", framed(1<<32 - 1), network.ErrFrameTooLarge},
		{"one byte too large", framed(1000-frameHeaderBytes+1, make([]byte, 993)...), network.ErrFrameTooLarge},
		{"garbage of the right size", framed(992, make([]byte, 500)...), network.ErrFrame},
		{"an unknown kind", framed(1, 200), network.ErrFrame},
		{"a proof without a group", appendFrameOf(nil, KindProof, appendBytes(nil, 2, make([]byte, MACBytes))), network.ErrFrame},
		{"a proof that is too short", appendFrameOf(nil, KindProof, appendBytes(appendUint(nil, 1, 7), 2, make([]byte, MACBytes-1))), network.ErrFrame},
		{"an address of nobody", appendFrameOf(nil, KindAddresses, appendBytes(nil, 1, appendUint(nil, 1, 7))), network.ErrFrame},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), network.ErrFrameTooLarge},
	} {
		if f, err := NewFrameReader(bytes.NewReader(c.bytes), 1000).Next(); !errors.Is(err, c.want) || f.Message != nil {
			t.Errorf("%s: %v, %v, want %v", c.name, f, err, c.want)
		}
	}
	broken := errors.New("broken")
	if _, err := NewFrameReader(io.MultiReader(bytes.NewReader(good[:20]), iotest.ErrReader(broken)), 1000).Next(); !errors.Is(err, broken) {
		t.Errorf("a broken source: %v", err)
	}
}

// TestFramesOfTheConnection: what is no message comes between messages.
func TestFramesOfTheConnection(t *testing.T) {
	random := rand.New(rand.NewSource(6))
	addresses := make([]Address, AddressesMax+1)
	for i := range addresses {
		addresses[i] = Address{Identity: identity(random), Address: "host:1"}
	}
	want := []Frame{
		{Kind: KindProof, Proof: &Proof{Group: 9, MAC: [MACBytes]byte{1, 31: 2}}},
		{Kind: KindHeartbeat, Message: &core.Heartbeat{Header: header(), Round: 1}},
		{Kind: KindAddresses, Addresses: addresses[:AddressesMax]},
		{Kind: KindPing},
		{Kind: KindAddresses},
		{Kind: KindKeepAlive},
	}
	stream := AppendProof(nil, *want[0].Proof)
	stream, err := AppendFrame(stream, want[1].Message, FrameBytesDefault)
	if err != nil {
		t.Fatal(err)
	}
	stream = AppendAddresses(AppendPing(AppendAddresses(stream, addresses)), nil)
	if stream, err = AppendFrame(stream, nil, FrameBytesDefault); err != nil {
		t.Fatal(err)
	}
	reader := NewFrameReader(bytes.NewReader(stream), FrameBytesDefault)
	for i := range want {
		if got, err := reader.Next(); err != nil || !reflect.DeepEqual(got, want[i]) {
			t.Errorf("frame %d: %v\ngot  %+v\nwant %+v", i, err, got, want[i])
		}
	}
}

// TestClusterIsNotSent: the id leaves only where the header says so (rule 27).
func TestClusterIsNotSent(t *testing.T) {
	secret := cluster(0x5ec7e75ec7e7)
	for kind := range messages {
		m := drawn(t, kind, rand.New(rand.NewSource(7)))
		m.Head().Cluster, m.Head().Introduces = secret, false
		if chunk, ok := m.(*core.SnapshotChunk); ok {
			chunk.Meta.Cluster = secret
		}
		b, err := AppendMessage(nil, m)
		if err != nil || bytes.Contains(b, secret[10:]) {
			t.Errorf("%T: %x, %v", m, b, err)
		}
		if got, err := DecodeMessage(kind, b); err != nil || !got.Head().Cluster.IsZero() || got.Head().Introduces {
			t.Errorf("%T arrives as %+v, %v", m, got, err)
		}
	}
}

func TestAppendFrameRefusesLargeOnes(t *testing.T) {
	m := &core.SnapshotChunk{Header: header(), Data: make([]byte, 1000)}
	whole, err := AppendFrame(nil, m, FrameBytesDefault)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AppendFrame(nil, m, len(whole)); err != nil {
		t.Errorf("a frame just within the limit: %v", err)
	}
	if b, err := AppendFrame([]byte("before"), m, len(whole)-1); !errors.Is(err, network.ErrFrameTooLarge) || string(b) != "before" {
		t.Errorf("a frame just over the limit: %q, %v", b, err)
	}
	if _, err := NewFrameReader(bytes.NewReader(whole), len(whole)).Next(); err != nil {
		t.Errorf("reading it just within the limit: %v", err)
	}
}

// A length that is only claimed must not cost what it claims.
func TestClaimedLengthCostsNothing(t *testing.T) {
	claim := binary.LittleEndian.AppendUint64(nil, FrameBytesMax-frameHeaderBytes)
	result := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := NewFrameReader(bytes.NewReader(claim), FrameBytesMax).Next(); !errors.Is(err, network.ErrFrame) {
				b.Fatal(err)
			}
		}
	})
	if n := result.AllocedBytesPerOp(); n > 4<<20 {
		t.Errorf("a claimed length of %d bytes allocates %d", FrameBytesMax, n)
	}
}

func TestAllocations(t *testing.T) {
	heartbeat := core.Message(&core.Heartbeat{Header: header(), Round: 1})
	entries := make([]core.Entry, 100)
	for i := range entries {
		entries[i] = core.Entry{LogID: core.LogID{Term: 1, Index: core.Index(i + 1)}, Kind: core.EntryCommand, Data: make([]byte, 100)}
	}
	appendEntries := core.Message(&core.AppendEntries{Header: header(), Entries: entries})
	for _, c := range []struct {
		m              core.Message
		encode, decode float64
	}{
		{heartbeat, 0, 1},
		// The message, its bytes, its entries.
		{appendEntries, 0, 3},
	} {
		frame, err := AppendFrame(nil, c.m, FrameBytesDefault)
		if err != nil {
			t.Fatal(err)
		}
		buffer := make([]byte, 0, len(frame))
		if n := testing.AllocsPerRun(100, func() { _, _ = AppendFrame(buffer, c.m, FrameBytesDefault) }); n > c.encode {
			t.Errorf("encoding a %T allocates %v times, want %v", c.m, n, c.encode)
		}
		source := &repeated{frame: frame}
		reader := NewFrameReader(source, FrameBytesDefault)
		if n := testing.AllocsPerRun(100, func() {
			if _, err := reader.Next(); err != nil {
				t.Fatal(err)
			}
		}); n > c.decode {
			t.Errorf("decoding a %T allocates %v times, want %v", c.m, n, c.decode)
		}
	}
}

// repeated is an endless source of one frame.
type repeated struct {
	frame []byte
	at    int
}

func (r *repeated) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		m := copy(b[n:], r.frame[r.at:])
		n += m
		r.at = (r.at + m) % len(r.frame)
	}
	return n, nil
}

func BenchmarkEncodeAppend64KiB(b *testing.B) {
	m, frame := largeAppend(b)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, err := AppendFrame(frame[:0], m, FrameBytesDefault); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeAppend64KiB(b *testing.B) {
	_, frame := largeAppend(b)
	reader := NewFrameReader(&repeated{frame: frame}, FrameBytesDefault)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if _, err := reader.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

func largeAppend(b *testing.B) (core.Message, []byte) {
	entries := make([]core.Entry, 512)
	for i := range entries {
		entries[i] = core.Entry{LogID: core.LogID{Term: 1, Index: core.Index(i + 1)}, Kind: core.EntryCommand, Time: int64(i) * 1000, Data: make([]byte, 128)}
	}
	m := &core.AppendEntries{Header: header(), Entries: entries}
	frame, err := AppendFrame(nil, m, FrameBytesDefault)
	if err != nil {
		b.Fatal(err)
	}
	return m, frame
}
