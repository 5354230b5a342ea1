package badger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"google.golang.org/protobuf/proto"

	"github.com/trouperaft/troupe/storage/internal/disk"
)

// The manifest is badger's list of tables, as a list of changes:
//
//	header  magic and versions 8
//	change  length 4, CRC-32C 4, changes of some tables that belong together
//
// All numbers are big endian.
const manifestHeaderBytes = 8

// liveTables are the tables that make up a database, by their numbers.
type liveTables map[uint64]badger.TableManifest

// manifest is what was read of it.
type manifest struct {
	live liveTables
	// missing are tables that it names and that are not there, which live leaves out.
	missing []uint64
	// absent are all that it names and that are not there: those missing, and those of
	// changes that have failed. If there are any, live is not what the file says.
	absent []uint64
}

// readManifest reads the manifest in dir, beside which are the tables that are given.
// There is none if found is false.
func readManifest(dir string, there numbered) (m manifest, found bool, err error) {
	name := filepath.Join(dir, badger.ManifestFilename)
	content, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return m, false, nil
	}
	if err != nil {
		return m, true, fmt.Errorf("badger: %w", err)
	}
	if m.live, err = replayManifest(name); err != nil {
		return m, true, err
	}
	if m.absent = m.live.without(there); len(m.absent) == 0 {
		return m, true, nil
	}
	sets, err := changeSets(content)
	if err != nil {
		return m, true, corrupt("%s: %v", name, err)
	}
	m.live = applyChanges(sets, there)
	m.missing = m.live.without(there)
	for _, id := range m.missing {
		delete(m.live, id)
	}
	return m, true, nil
}

func replayManifest(name string) (live liveTables, err error) {
	defer recovered(name, &err)
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("badger: %w", err)
	}
	defer f.Close()
	m, _, err := badger.ReplayManifestFile(f, 0, badger.DefaultOptions("").WithLogger(nil))
	if err != nil {
		return nil, openError(name, err)
	}
	return m.Tables, nil
}

// without returns the tables that are not there.
func (l liveTables) without(there numbered) (missing []uint64) {
	for id := range l {
		if !there[id] {
			missing = append(missing, id)
		}
	}
	return missing
}

// changeSets reads what badger has found good.
func changeSets(content []byte) (sets []*pb.ManifestChangeSet, err error) {
	for b := content[manifestHeaderBytes:]; len(b) >= 8; {
		n := int(binary.BigEndian.Uint32(b))
		if n > len(b)-8 {
			break // cut off by a crash
		}
		set := &pb.ManifestChangeSet{}
		if err := proto.Unmarshal(b[8:8+n], set); err != nil {
			return nil, err
		}
		sets, b = append(sets, set), b[8+n:]
	}
	return sets, nil
}

// applyChanges leaves out the changes that have failed. When the disk refuses to make
// one durable, badger removes the tables that it was to bring in, keeps those that it
// was to take out, and goes on, but the change stands in the file.
func applyChanges(sets []*pb.ManifestChangeSet, there numbered) liveTables {
	failed := make([]bool, len(sets))
	deleted := numbered{} // by a later change
	for i := len(sets) - 1; i >= 0; i-- {
		failed[i] = hasFailed(sets[i], there, deleted)
		for _, c := range sets[i].Changes {
			if c.Op == pb.ManifestChange_DELETE && !failed[i] {
				deleted[c.Id] = true
			}
		}
	}
	live := liveTables{}
	for i, set := range sets {
		if failed[i] {
			continue
		}
		for _, c := range set.Changes {
			if c.Op == pb.ManifestChange_DELETE {
				delete(live, c.Id)
			} else {
				live[c.Id] = badger.TableManifest{Level: uint8(c.Level), KeyID: c.KeyId, Compression: options.CompressionType(c.Compression)}
			}
		}
	}
	return live
}

// hasFailed reports whether a change brought in tables of which none is there, nor was
// taken out later, and took out only what is still there, or was taken out later.
func hasFailed(set *pb.ManifestChangeSet, there, deleted numbered) bool {
	created := 0
	for _, c := range set.Changes {
		gone := !there[c.Id] && !deleted[c.Id]
		if c.Op == pb.ManifestChange_DELETE {
			if gone {
				return false
			}
			continue
		}
		if !gone {
			return false
		}
		created++
	}
	return created > 0
}

// write makes the file in dir say what is live.
func (m *manifest) write(dir string) error {
	name := filepath.Join(dir, badger.ManifestFilename)
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	set := &pb.ManifestChangeSet{}
	for id, t := range m.live {
		set.Changes = append(set.Changes, &pb.ManifestChange{
			Id: id, Op: pb.ManifestChange_CREATE, Level: uint32(t.Level), KeyId: t.KeyID, Compression: uint32(t.Compression),
		})
	}
	b, err := appendChangeSet(content[:manifestHeaderBytes:manifestHeaderBytes], set)
	if err != nil {
		return err
	}
	return disk.Replace(name, b, true)
}

func appendChangeSet(b []byte, set *pb.ManifestChangeSet) ([]byte, error) {
	changes, err := proto.Marshal(set)
	b = binary.BigEndian.AppendUint32(b, uint32(len(changes)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(changes, castagnoli))
	return append(b, changes...), err
}

// writeManifestAgain writes the manifest in dir over itself. When the disk refuses to
// make a change durable, the system counts it as written from then on, and the next
// sync says that all is well: so what was refused must be written anew before that.
func writeManifestAgain(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, badger.ManifestFilename), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	content, err := os.ReadFile(f.Name())
	if err == nil {
		_, err = f.WriteAt(content, 0)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
