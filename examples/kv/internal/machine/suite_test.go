package machine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/trouperaft/troupe/storage"
	"github.com/trouperaft/troupe/storage/storagetest"
)

func TestSuite(t *testing.T) {
	for name, make := range kinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kind := storagetest.Machine{
				New:     func(t *testing.T) storage.StateMachine { return make(t) },
				Command: suiteCommand,
				Content: content,
			}
			if name == "badger" {
				kind.Reopen = func(t *testing.T, m storage.StateMachine) storage.StateMachine {
					b := m.(*Badger)
					if err := b.Close(); err != nil {
						t.Fatal(err)
					}
					return open(t, b.db.Opts().Dir)
				}
			}
			storagetest.StateMachine(t, kind)
		})
	}
}

// suiteCommand is the i-th step, from 1 on, of a story in which the key "last"
// and the other keys tell all beginnings apart, and each swap depends on the put
// before it.
func suiteCommand(i int) []byte {
	switch {
	case i%4 == 1:
		return Put("last", fmt.Append(nil, i))
	case i%4 == 2:
		return CompareAndSwap("last", fmt.Append(nil, i-1), fmt.Append(nil, i))
	case i%4 == 3 || i == 4:
		return Put(fmt.Sprintf("key-%d", i), bytes.Repeat([]byte{byte(i)}, i))
	}
	return Delete(fmt.Sprintf("key-%d", i-5))
}

// content is what a view writes, without the LogID at its head.
func content(t *testing.T, m storage.StateMachine) string {
	t.Helper()
	p, err := newPairReader(bytes.NewReader(dump(t, m.(Machine))))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for {
		key, value, err := p.next()
		if errors.Is(err, io.EOF) {
			return all.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%q=%q\n", key, value)
	}
}
