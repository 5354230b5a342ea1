package powerloss

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/trouperaft/troupe/core"
	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/storagetest"
)

// job is what a child process has to do: the test binary, started again, with this in
// its environment.
type job struct {
	Role     string
	Killed   bool   // at its end
	Log      string // store
	Snapshot string // store
	Dir      string
	Seed     uint64
	Known    note
}

const jobVariable = "TROUPE_POWERLOSS_JOB"

// roles of children.
var roles = map[string]func(job) error{
	"write": writeOn, "check": check, "fill": fill, "look": look,
}

// runChild carries out the job of this process, if it has one.
func runChild() {
	text, is := os.LookupEnv(jobVariable)
	if !is {
		return
	}
	var j job
	err := json.Unmarshal([]byte(text), &j)
	if err == nil {
		err = roles[j.Role](j)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child makes the command of a job.
func child(ctx context.Context, j job) (*exec.Cmd, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe")
	cmd.Env = append(os.Environ(), jobVariable+"="+string(text))
	return cmd, nil
}

func (j *job) openLog() (storage.LogStore, error) {
	return logStores[j.Log](filepath.Join(j.Dir, "log"))
}

// open opens both stores and finds after which step they were left.
func (j *job) open() (storage.LogStore, *storagetest.Workload, *album, error) {
	s, err := j.openLog()
	if err != nil {
		return nil, nil, nil, fmt.Errorf("opening the log: %w", err)
	}
	if h, k := s.Header(), j.Known; h.StartCounter <= k.StartCounter || k.Incarnation != 0 && uint64(h.Incarnation) != k.Incarnation {
		return nil, nil, nil, fmt.Errorf("the log is opened as %+v, and was as start %d of incarnation %x", h, k.StartCounter, k.Incarnation)
	}
	w, err := storagetest.Find(context.Background(), s, j.Seed, j.Known.Acknowledged, j.Known.Begun)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("of %d steps that were acknowledged, and %d begun: %w", j.Known.Acknowledged, j.Known.Begun, err)
	}
	a, err := openAlbum(j.Snapshot, j.Dir, j.Known.Snapshot, w.Steps())
	if err != nil {
		return nil, nil, nil, fmt.Errorf("the snapshots: %w", err)
	}
	return s, w, a, nil
}

// told is what the writing process tells before it goes on.
type told struct {
	note
	// Needle are some bytes of the batch that comes next, if it has so many.
	Needle []byte
}

var errClose = errors.New("told to close")

// writeOn writes after what is there, and tells what is acknowledged before it begins
// anything, until it is killed or told to close.
func writeOn(j job) error {
	s, w, a, err := j.open()
	if err != nil {
		return err
	}
	answers := bufio.NewScanner(os.Stdin)
	now := told{note: note{StartCounter: s.Header().StartCounter, Incarnation: uint64(s.Header().Incarnation), Snapshot: a.newest}}
	tell := func() error {
		b, err := json.Marshal(now)
		if err != nil {
			return err
		}
		fmt.Println(string(b))
		if !answers.Scan() || answers.Text() != "on" {
			return errClose
		}
		return nil
	}
	random := rand.New(rand.NewPCG(j.Seed, now.StartCounter))
	for {
		now.Acknowledged, now.Begun, now.Needle = w.Steps(), w.Steps(), nil
		taken, err := a.take(w.Steps())
		if err != nil {
			return fmt.Errorf("a snapshot: %w", err)
		}
		if taken {
			now.Snapshot = a.newest
			if err = tell(); err == nil {
				err = a.tidy()
			}
		}
		if err == nil {
			err = w.Write(context.Background(), s, 1+random.IntN(4), func(next *storage.Batch) error {
				now.Begun, now.Needle = w.Steps(), needleOf(next)
				return tell()
			})
		}
		if errors.Is(err, errClose) {
			return s.Close()
		}
		if err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
}

// needleBytes are enough to know a batch by.
const needleBytes = 64

func needleOf(batch *storage.Batch) []byte {
	for i := range batch.Operations {
		for _, e := range batch.Operations[i].Append {
			if len(e.Data) >= needleBytes {
				return e.Data[len(e.Data)-needleBytes:]
			}
		}
	}
	return nil
}

// check opens the stores of an image, and writes to the log: it must take that, and keep
// it.
func check(j job) error {
	s, w, a, err := j.open()
	if err != nil {
		return err
	}
	for range 3 {
		if err := w.Write(context.Background(), s, 4, func(*storage.Batch) error { return nil }); err != nil {
			return fmt.Errorf("writing: %w", err)
		}
	}
	if err := errors.Join(s.Close(), a.close()); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	j.Known.Acknowledged, j.Known.Begun = w.Steps(), w.Steps()
	if s, _, _, err = j.open(); err != nil {
		return fmt.Errorf("again: %w", err)
	}
	return s.Close()
}

// What fill writes, and the group of which blocks are going to be spoilt.
const (
	fillGroups  = 3
	fillEntries = 120
	fillBytes   = 64 << 10
	spoiltGroup = 2
)

func fillEntry(group, index int) core.Entry {
	random := rand.NewChaCha8([32]byte{byte(group), byte(index)})
	data := make([]byte, fillBytes)
	_, _ = random.Read(data)
	return core.Entry{LogID: core.LogID{Term: 1, Index: core.Index(index)}, Kind: core.EntryCommand, Data: data}
}

// fill writes as much as makes some files, and leaves the store closed, or as a killed
// process does.
func fill(j job) error {
	s, err := j.openLog()
	if err != nil {
		return err
	}
	for index := 1; index <= fillEntries; index++ {
		var batch storage.Batch
		for group := 1; group <= fillGroups; group++ {
			batch.Operations = append(batch.Operations, storage.Operation{Group: core.GroupID(group), HardState: &core.HardState{Term: 1},
				Append: []core.Entry{fillEntry(group, index)}})
		}
		if err := s.Write(context.Background(), &batch); err != nil {
			return err
		}
	}
	if j.Killed {
		return unix.Kill(os.Getpid(), unix.SIGKILL)
	}
	return s.Close()
}

// seen is what a process could read of a store that was filled: the error of its opening,
// or those of its groups.
type seen struct {
	Open   string
	Groups map[int]string
}

// look opens a store, and reads everything of every group.
func look(j job) error {
	var found seen
	s, err := j.openLog()
	if err != nil {
		found.Open = err.Error()
	}
	for group := 1; group <= fillGroups && err == nil; group++ {
		if err := readAll(s, group); err != nil {
			if found.Groups == nil {
				found.Groups = make(map[int]string)
			}
			found.Groups[group] = err.Error()
		}
	}
	if err == nil {
		err = s.Close()
	} else {
		err = nil
	}
	b, _ := json.Marshal(found)
	fmt.Println(string(b))
	return err
}

func readAll(s storage.LogStore, group int) error {
	ctx, id := context.Background(), core.GroupID(group)
	state, err := s.Load(ctx, id)
	if err != nil {
		return err
	}
	if state.Last.Index != fillEntries {
		return fmt.Errorf("the log ends with %v", state.Last)
	}
	for index := 1; index <= fillEntries; index++ {
		es, err := s.Read(ctx, id, core.Index(index), core.Index(index), 1)
		if err != nil {
			return err
		}
		if want := fillEntry(group, index); string(es[0].Data) != string(want.Data) {
			return fmt.Errorf("entry %d holds something else", index)
		}
	}
	return nil
}
