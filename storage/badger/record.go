package badger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/membership"
	"github.com/trouperaft/troupe/storage"
)

// A record is a version byte, numbers of eight bytes, little endian, for the
// header a text that goes to its end, and a CRC-32C over the key and all that.
// A later version may only be read by those who know it: there is no field that
// may be skipped.
const recordVersion = 2

// recordVersionRemoved is that of a group's record with what one of a node that was never
// removed does not have.
const recordVersionRemoved = 3

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func corrupt(format string, args ...any) error {
	return fmt.Errorf("badger: %w: %s", core.ErrCorrupt, fmt.Sprintf(format, args...))
}

// seal appends a record of numbers for key.
func seal(b, key []byte, numbers ...uint64) []byte { return sealText(b, key, "", numbers...) }

// sealText appends a record of numbers and a text for key.
func sealText(b, key []byte, text string, numbers ...uint64) []byte {
	return sealVersion(b, key, recordVersion, text, numbers...)
}

func sealVersion(b, key []byte, version byte, text string, numbers ...uint64) []byte {
	start := len(b)
	b = append(b, version)
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = append(b, text...)
	return binary.LittleEndian.AppendUint32(b, crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, b[start:]))
}

// unseal reads what seal wrote into numbers.
func unseal(key, value []byte, numbers ...*uint64) error {
	text, err := unsealText(key, value, numbers...)
	if err == nil && text != "" {
		return corrupt("record %q has %d bytes", key, len(value))
	}
	return err
}

// unsealText reads what sealText wrote into numbers, and returns the text.
func unsealText(key, value []byte, numbers ...*uint64) (text string, _ error) {
	return unsealVersion(key, value, recordVersion, numbers...)
}

func unsealVersion(key, value []byte, version byte, numbers ...*uint64) (text string, _ error) {
	if len(value) < 5 {
		return "", corrupt("record %q has %d bytes", key, len(value))
	}
	body := value[:len(value)-4]
	sum := crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, body)
	if sum != binary.LittleEndian.Uint32(value[len(body):]) {
		return "", corrupt("record %q has a bad checksum", key)
	}
	if body[0] != version {
		return "", fmt.Errorf("badger: record %q has version %d, which is not known", key, body[0])
	}
	if len(body) < 1+8*len(numbers) {
		return "", corrupt("record %q has %d bytes", key, len(value))
	}
	for i, n := range numbers {
		*n = binary.LittleEndian.Uint64(body[1+8*i:])
	}
	return string(body[1+8*len(numbers):]), nil
}

// weight is what a record adds to the digest of all records. It depends on the
// key and on all that the record holds, through its checksum.
func weight(value []byte) uint64 {
	if len(value) < 4 {
		return 0
	}
	z := uint64(binary.LittleEndian.Uint32(value[len(value)-4:])) + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// groupRecord is all that is known of a group beside its entries. Batch is the
// batch that wrote it: no two records of a group are ever the same.
type groupRecord struct {
	hardState core.HardState
	commit    core.Index
	purged    core.LogID
	last      core.LogID
	lastTime  int64
	// chain is the checksum of the last entry, which covers all before it.
	chain uint32
	batch uint64
	// weight is that of the record as it was written last. It is not stored.
	weight uint64
}

func (r *groupRecord) append(b, key []byte) []byte {
	h := &r.hardState
	clusterHigh, clusterLow := halves(h.Cluster)
	listHigh, listLow := halves(h.Grant.List)
	numbers := []uint64{uint64(h.Term), uint64(h.Vote.ID), uint64(h.Vote.Incarnation), clusterHigh, clusterLow,
		uint64(h.Grant.To.ID), uint64(h.Grant.To.Incarnation), h.Grant.Attempt, listHigh, listLow, uint64(h.Grant.LengthMillis), uint64(r.commit),
		uint64(r.purged.Term), uint64(r.purged.Index), uint64(r.last.Term), uint64(r.last.Index), uint64(r.lastTime),
		uint64(r.chain), r.batch}
	if h.Removed == (core.LogID{}) {
		return seal(b, key, numbers...)
	}
	return sealVersion(b, key, recordVersionRemoved, "", append(numbers, uint64(h.Removed.Term), uint64(h.Removed.Index))...)
}

// halves and joined are how 16 bytes stand among numbers.
func halves(b [16]byte) (high, low uint64) {
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func joined(high, low uint64) (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	return b
}

func decodeGroup(key, value []byte) (groupRecord, error) {
	var n [21]uint64
	var to [len(n)]*uint64
	for i := range n {
		to[i] = &n[i]
	}
	version, known := byte(recordVersion), to[:19]
	if len(value) > 0 && value[0] == recordVersionRemoved {
		version, known = recordVersionRemoved, to[:]
	}
	text, err := unsealVersion(key, value, version, known...)
	if err == nil && (text != "" || version == recordVersionRemoved && n[19] == 0 && n[20] == 0) {
		err = corrupt("record %q has %d bytes, and numbers that are not its own", key, len(value))
	}
	if err != nil {
		return groupRecord{}, err
	}
	r := groupRecord{
		hardState: core.HardState{
			Term:    core.Term(n[0]),
			Vote:    membership.Identity{ID: membership.NodeID(n[1]), Incarnation: membership.Incarnation(n[2])},
			Cluster: joined(n[3], n[4]),
			Grant: core.Grant{
				To:      membership.Identity{ID: membership.NodeID(n[5]), Incarnation: membership.Incarnation(n[6])},
				Attempt: n[7], List: joined(n[8], n[9]), LengthMillis: uint32(n[10]),
			},
			Removed: core.LogID{Term: core.Term(n[19]), Index: core.Index(n[20])},
		},
		commit:   core.Index(n[11]),
		purged:   core.LogID{Term: core.Term(n[12]), Index: core.Index(n[13])},
		last:     core.LogID{Term: core.Term(n[14]), Index: core.Index(n[15])},
		lastTime: int64(n[16]),
		chain:    uint32(n[17]),
		batch:    n[18],
		weight:   weight(value),
	}
	if r.last.Index < r.purged.Index || n[10] > 1<<32-1 || n[17] > 1<<32-1 {
		return groupRecord{}, corrupt("record %q contradicts itself", key)
	}
	return r, nil
}

// headerRecord is what the store says of itself.
type headerRecord struct {
	storage.Header
	batch uint64
}

func (r *headerRecord) encode() []byte {
	return sealText(nil, headerKey, r.Refused, uint64(r.Node), uint64(r.Incarnation), r.StartCounter, uint64(r.Promise), r.batch)
}

func decodeHeader(value []byte) (headerRecord, error) {
	var n [5]uint64
	refused, err := unsealText(headerKey, value, &n[0], &n[1], &n[2], &n[3], &n[4])
	if err != nil {
		return headerRecord{}, err
	}
	r := headerRecord{batch: n[4]}
	r.Header = storage.Header{
		Node: membership.NodeID(n[0]), Incarnation: membership.Incarnation(n[1]), StartCounter: n[2], Promise: time.Duration(n[3]),
		Refused: refused,
	}
	if r.Node == 0 || r.Incarnation == 0 || r.Promise < 0 || len(refused) > storage.RefusalBytesMin {
		return headerRecord{}, corrupt("the header contradicts itself")
	}
	return r, nil
}

// batchRecord names the last batch, and is written with each. Digest is the sum
// of the weights of the header and of all groups' records.
type batchRecord struct{ number, digest, groups uint64 }

func (r *batchRecord) append(b []byte) []byte {
	return seal(b, batchKey, r.number, r.digest, r.groups)
}

func decodeBatch(value []byte) (r batchRecord, err error) {
	err = unseal(batchKey, value, &r.number, &r.digest, &r.groups)
	return r, err
}
