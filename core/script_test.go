package core_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/trouperaft/troupe/core"
)

// TestScripts plays the scripts of testdata. A script is a story in blocks:
// comments and commands, a line of dashes, and what must come out, up to an empty
// line. A command that begins with "-" is carried out and says nothing. The
// commands are the functions of scriptCommands.
func TestScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := playScript(t, string(data))
			if *Rewrite {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			CompareScripts(t, path, string(data), got)
		})
	}
}

// playScript returns the script with the output that it has now.
func playScript(t *testing.T, text string) string {
	t.Helper()
	w := newWorld()
	var out bytes.Buffer
	output := false // within the output of a block
	for i, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		switch {
		case output:
			if strings.TrimSpace(line) == "" {
				output = false
				out.WriteString("\n")
			}
			continue
		case strings.HasPrefix(line, "----"):
			output = true
			fmt.Fprintf(&out, "----\n%s", w.text.String())
			w.text.Reset()
			continue
		}
		out.WriteString(line + "\n")
		if err := w.command(line); err != nil {
			t.Fatalf("line %d: %s: %v\n%s", i+1, line, err, w.text.String())
		}
	}
	if left := w.text.String(); left != "" {
		t.Fatalf("the last block has output and no line of dashes:\n%s", left)
	}
	return out.String()
}

// scriptArgs are the words behind a command: plain ones and key=value.
type scriptArgs struct {
	words []string
	keys  map[string]string
}

type scriptCommand func(w *world, a scriptArgs) error

var scriptCommands = map[string]scriptCommand{
	// Making a cluster. "nodes 3 [options]" makes empty nodes, "cluster 3
	// [learners=2] [empty=1] [voters=2,3 outgoing=1,2] [priorities=200,100] [options]" nodes whose log begins with the
	// same committed configuration, "terms 2 1 1 4" writes a log of entries of these terms onto
	// a disk; "start" lets them live.
	"nodes": (*world).scriptNodes, "cluster": (*world).scriptCluster, "terms": (*world).scriptTerms, "start": (*world).scriptStart,
	// Requests of users; "read 1 lease" may be answered by the lease.
	"bootstrap": (*world).scriptBootstrap, "propose": (*world).scriptPropose, "read": (*world).scriptRead,
	// "campaign 2" is an election by hand, "pause 2 on" pauses those of node 2,
	// "transfer 1 to=2" hands the leadership over, and "renew 1" says that what the
	// application of node 1 ran in its term has ended.
	"campaign": (*world).scriptCampaign, "pause": (*world).scriptPause, "transfer": (*world).scriptTransfer,
	"renew": eachNode((*worldNode).renew),
	// "change 1 add:4 remove:3 [limit=5s] [expect=7] [term=2] [nowait] [dry]" changes the
	// members; "cancel 1" gives the change up, "leave 1" ends the wait for what node 1
	// asked for last.
	"change": (*world).scriptChange, "cancel": (*world).scriptCancel, "leave": (*world).scriptLeave,
	// Time: "advance [nodes] 1500ms" fires what comes due; "sleep" does not;
	// "timeout 2" advances the clock of 2 to its election time-out; "expire 3"
	// lets the promise of 3 end; "elect 1" is both and all that follows, silently;
	// "run 2s" lets time pass for all in steps of a heartbeat, with all that can
	// happen in between.
	"run": (*world).scriptRun, "advance": (*world).scriptAdvance, "sleep": (*world).scriptSleep, "timeout": (*world).scriptTimeout, "expire": (*world).scriptExpire, "elect": (*world).scriptElect,
	// The network: "deliver 1->2 [kind] [n=1]", "drop" likewise, "queue" shows
	// what is on the way, "copy 2->1 kind as=x" and "inject x" repeat a message,
	// "break 1 2" breaks a connection, "partition 1 | 2 3" and "heal".
	"deliver": (*world).scriptDeliver, "drop": (*world).scriptDrop, "queue": (*world).scriptQueue, "copy": (*world).scriptCopy, "inject": (*world).scriptInject,
	// "stranger 9->1 heartbeat term=7" is a message of somebody who has not proved
	// to know the cluster.
	"stranger": (*world).scriptStranger,
	"break":    (*world).scriptBreak, "partition": (*world).scriptPartition, "heal": (*world).scriptHeal,
	// Disks and machines: "flush 1 [n=1]", "apply 1", "built 1", "installed 1".
	"flush":     (*world).scriptFlush,
	"apply":     eachNode(func(n *worldNode) { n.apply() }),
	"built":     eachNode(func(n *worldNode) { n.built() }),
	"installed": eachNode(func(n *worldNode) { n.installed() }),
	// Lives: "wipe 3" is a crash that takes the disk with it.
	"crash":   eachNode((*worldNode).crash),
	"restart": eachNode(func(n *worldNode) { n.crash(); n.start() }),
	"wipe":    eachNode((*worldNode).wipe),
	// Everything that can happen without the clock; and what there is to see.
	"stabilize": func(w *world, a scriptArgs) error { w.stabilize(w.listed(a.words)); return nil },
	"status":    eachNode((*worldNode).printStatus),
	"lease":     eachNode((*worldNode).printLease),
	"leading":   eachNode((*worldNode).printLeading),
	"log":       eachNode((*worldNode).printLog),
	"machine":   eachNode(func(n *worldNode) { n.w.printf("%d has applied %v", n.id.ID, n.machine) }),
}

func eachNode(f func(n *worldNode)) scriptCommand {
	return func(w *world, a scriptArgs) error {
		for _, id := range w.listed(a.words) {
			f(w.nodes[id])
		}
		return nil
	}
}

// command carries out a line of a script.
func (w *world) command(line string) (err error) {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil
	}
	name, quiet := strings.CutPrefix(words[0], "-")
	f, ok := scriptCommands[name]
	if !ok {
		return fmt.Errorf("no such command")
	}
	a := scriptArgs{keys: map[string]string{}}
	for _, word := range words[1:] {
		if k, v, ok := strings.Cut(word, "="); ok {
			a.keys[k] = v
		} else {
			a.words = append(a.words, word)
		}
	}
	defer func() {
		w.quiet = false
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	w.quiet = quiet
	return f(w, a)
}

// listed reads node ids; none means all.
func (w *world) listed(words []string) []NodeID {
	if len(words) == 0 {
		return w.ids()
	}
	var ids []NodeID
	for _, word := range words {
		id := NodeID(scriptNumber(word))
		if w.nodes[id] == nil {
			panic("no node " + word)
		}
		ids = append(ids, id)
	}
	return ids
}

func scriptNumber(word string) uint64 {
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func scriptDuration(word string) time.Duration {
	d, err := time.ParseDuration(word)
	if err != nil {
		panic(err)
	}
	return d
}
