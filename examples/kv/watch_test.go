//go:build unix

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/examples/kv/internal/api"
)

// watched is a line of kv status --watch.
type watched struct {
	HTTP   string
	Error  string
	Status *api.Status
}

// TestWatch watches three processes through a pipe, while one is killed and comes back.
// Ctrl-C ends it, with exit code 0.
func TestWatch(t *testing.T) {
	c := newCluster(t)
	var addresses []string
	for _, n := range c.nodes {
		addresses = append(addresses, n.httpAddress)
	}
	command := exec.CommandContext(t.Context(), binary, "status", "--watch", "--interval", "20ms", "--http", strings.Join(addresses, ","))
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	next := func() (line watched) {
		if !lines.Scan() {
			t.Fatalf("it has ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || (line.Error == "") == (line.Status == nil) {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		return line
	}
	see := func(what string, seen func(l watched) bool) {
		t.Helper()
		for deadline := time.Now().Add(waitLimit); !seen(next()); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: not in %v", what, waitLimit)
			}
		}
	}
	for _, n := range c.nodes {
		see(fmt.Sprintf("node %d", n.id), func(l watched) bool { return l.Status != nil && l.Status.ID == n.id && l.Status.Leader != 0 })
	}
	victim := c.others(c.leader())[0]
	victim.kill()
	see("it is gone", func(l watched) bool { return l.HTTP == victim.httpAddress && strings.Contains(l.Error, "refused") })
	see("the others are there", func(l watched) bool { return l.Status != nil })
	victim.start()
	see("it is back", func(l watched) bool { return l.HTTP == victim.httpAddress && l.Error == "" })

	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() {
	}
	if err := command.Wait(); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
}
