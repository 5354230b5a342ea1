package wire

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var writeSamples = flag.Bool("samples", false, "write samples of this version, if there are none")

// sample is a message as a version of the protocol has written it, and what it said.
type sample struct {
	Kind   Kind
	Name   string
	Bytes  string
	Fields json.RawMessage
}

// fieldsOf is what a message says.
func fieldsOf(t *testing.T, m any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestSamplesOfEarlierBuildsAreRead reads what builds of this version have written since
// it was the newest: a message that means something else from now on needs a new version.
func TestSamplesOfEarlierBuildsAreRead(t *testing.T) {
	// The second came with the versions of state machines, which older builds do not know.
	// The third came with what heartbeats tell of a change, which older builds skip.
	for _, name := range []string{"version-4.json", "version-4-machines.json", "version-4-changes.json"} {
		name = filepath.Join("testdata", name)
		if _, err := os.Stat(name); *writeSamples && err != nil {
			writeMessages(t, name)
		}
		readMessages(t, name)
	}
}

func readMessages(t *testing.T, name string) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var samples []sample
	if err := json.Unmarshal(content, &samples); err != nil || len(samples) < 22 {
		t.Fatalf("%d samples, %v", len(samples), err)
	}
	for _, s := range samples {
		b, err := hex.DecodeString(s.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		m, err := DecodeMessage(s.Kind, b)
		if err != nil {
			t.Errorf("%s: %v", s.Name, err)
			continue
		}
		if name := reflect.TypeOf(m).Elem().Name(); name != s.Name {
			t.Errorf("a %s is read as a %s", s.Name, name)
		}
		var want, got any
		if err := json.Unmarshal(s.Fields, &want); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(fieldsOf(t, m), &got); err != nil {
			t.Fatal(err)
		}
		if what := lacks(got, want); what != "" {
			t.Errorf("%s: %s", s.Name, what)
		}
	}
}

// lacks says what of want is not in got, which may have fields that came later.
func lacks(got, want any) string {
	fields, ok := want.(map[string]any)
	have, same := got.(map[string]any)
	if !ok || !same {
		if list, ok := want.([]any); ok {
			return lacksOf(got, list)
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Sprintf("%v, and %v was written", got, want)
		}
		return ""
	}
	for name, value := range fields {
		if what := lacks(have[name], value); what != "" {
			return name + ": " + what
		}
	}
	return ""
}

func lacksOf(got any, want []any) string {
	have, ok := got.([]any)
	if !ok || len(have) != len(want) {
		return fmt.Sprintf("%v, and %v was written", got, want)
	}
	for i := range want {
		if what := lacks(have[i], want[i]); what != "" {
			return fmt.Sprintf("[%d]: %s", i, what)
		}
	}
	return ""
}

// writeMessages writes a message of each kind, with all fields drawn.
func writeMessages(t *testing.T, name string) {
	t.Helper()
	var samples []sample
	for kind := Kind(1); kind < kindEnd; kind++ {
		random := rand.New(rand.NewSource(int64(kind)))
		m := drawn(t, kind, random)
		b, err := AppendMessage(nil, m)
		for ; err == nil && len(b) > 3000; b, err = AppendMessage(nil, m) {
			m = drawn(t, kind, random)
		}
		if err != nil {
			t.Fatal(err)
		}
		samples = append(samples, sample{kind, reflect.TypeOf(m).Elem().Name(), hex.EncodeToString(b), fieldsOf(t, m)})
	}
	content, err := json.MarshalIndent(samples, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(name), 0o700)
	}
	if err == nil {
		err = os.WriteFile(name, append(content, '\n'), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
