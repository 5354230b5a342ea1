package membership

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// Founding is the hash of the list that a cluster was founded with. It is what
// *the same list* means, also after the members have changed (rule 19). Zero is
// not known.
type Founding [16]byte

// foundingDomain is what the hashed bytes begin with, so that they are the bytes
// of nothing else. Another encoding of the list would get another one.
const foundingDomain = "troupe founding list 1\n"

// FoundingOf returns the hash of a list whose ids are distinct: the first 16 bytes
// of SHA-256 over id, address, priority and tags of all members. The order of the
// list does not matter, nor do incarnations: a node that lost its data before it
// was brought in is still the one that was asked for. An empty list has the zero
// value.
//
// What is hashed has an encoding of its own, which never changes: that of
// [Configuration.Encode] may get new fields. Numbers are 8 bytes, little-endian,
// and each text has its length before it, so that no two lists have the same bytes.
func FoundingOf(members []Member) Founding {
	if len(members) == 0 {
		return Founding{}
	}
	b := []byte(foundingDomain)
	number := func(n uint64) { b = binary.LittleEndian.AppendUint64(b, n) }
	text := func(s string) {
		number(uint64(len(s)))
		b = append(b, s...)
	}
	number(uint64(len(members)))
	for _, m := range sortMembers(members) {
		number(uint64(m.ID))
		text(m.Address)
		number(uint64(m.Priority))
		number(uint64(len(m.Tags)))
		for _, k := range slices.Sorted(maps.Keys(m.Tags)) {
			text(k)
			text(m.Tags[k])
		}
	}
	sum := sha256.Sum256(b)
	return Founding(sum[:len(Founding{})])
}

// IsZero reports whether the list is not known.
func (f Founding) IsZero() bool { return f == Founding{} }

// String returns the first four bytes in hexadecimal, which is enough to tell two
// lists apart in a log.
func (f Founding) String() string { return hex.EncodeToString(f[:4]) }

func sortMembers(members []Member) []Member {
	sorted := slices.Clone(members)
	slices.SortFunc(sorted, func(a, b Member) int { return a.Identity.Compare(b.Identity) })
	return sorted
}
