package main

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"
)

func TestSettings(t *testing.T) {
	s, err := parseSettings(strings.Fields("-mode disk -seconds 2.5 -warmup 0 -payload 8 -nodes 5 -read-percent 100"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if s.store != "badger" || s.measured != 2500*time.Millisecond || s.warmup != 0 || s.payloadBytes != 8 || s.nodes != 5 {
		t.Errorf("the settings are %+v", s)
	}
	if s, err = parseSettings(strings.Fields("-mode disk -store memory"), io.Discard); err != nil || s.store != "memory" {
		t.Errorf("-store memory is %q, %v", s.store, err)
	}
	if s, err = parseSettings(nil, io.Discard); err != nil || s.mode != "mem" || s.store != "memory" || s.clients != 256 || s.measured != 5*time.Second {
		t.Errorf("the defaults are %+v, %v", s, err)
	}
}

func TestMisuse(t *testing.T) {
	for arguments, want := range map[string]string{
		"-mode ram":                        `-mode "ram": mem or disk`,
		"-store wal":                       `-store "wal": memory or badger`,
		"-nodes 4":                         "-nodes 4: 1, 3 or 5",
		"-clients 0":                       "-clients 0",
		"-clients x":                       `invalid value "x" for flag -clients`,
		"-clients 70000":                   "-clients 70000",
		"-groups 0":                        "-groups 0",
		"-groups 8 -clients 4":             "-clients 4: fewer than -groups 8",
		"-payload 7":                       "-payload 7",
		"-payload 4194305":                 "-payload 4194305",
		"-propose-batch 0":                 "-propose-batch 0",
		"-propose-batch 300 -clients 256":  "-propose-batch 300",
		"-rate -1":                         "-rate -1",
		"-rate NaN":                        "-rate NaN",
		"-rate 10 -propose-batch 2":        "-rate and -propose-batch",
		"-read-percent 101":                "-read-percent 101",
		"-read-percent 1 -propose-batch 2": "-read-percent and -propose-batch",
		"-read sloppy":                     `-read "sloppy": linearizable, lease or stale`,
		"-read-at home":                    `-read-at "home": leader or follower`,
		"-read-at follower -nodes 1":       "-read-at follower",
		"-max-staleness 0s":                "-max-staleness 0s",
		"-max-staleness 25h":               "-max-staleness 25h",
		"reads -read lease":                "-read: bench reads chooses that itself",
		"reads --read-at=leader":           "-read-at: bench reads chooses that itself",
		"-seconds 0":                       "-seconds",
		"-seconds NaN":                     "-seconds NaN",
		"-warmup -1":                       "-warmup -1",
		"-snapshots 18446744073709551615":  "0 stands for never",
		"-hogs -1":                         "-hogs -1",
		"-slow-follower 0":                 "-slow-follower 0: not between 1 and 10000",
		"-slow-follower 2 -groups 2":       "-slow-follower: needs three nodes",
		"-trace-ratio 2":                   "-trace-ratio 2: not between 0 and 1",
		"-fast":                            "flag provided but not defined: -fast",
		"sweeep":                           `unexpected argument "sweeep"`,
		"sweep x":                          `unexpected argument "x"`,
		"sweep -modes mem,ram":             `-mode "ram"`,
		"sweep -clients 1,":                "-clients",
		"sweep -payloads 4":                "-payload 4",
		"sweep -repeats 0":                 "-repeats 0",
		"sweep -with etcd,consul":          `-with "consul"`,
		"sweep -peers a -peer-binary b":    "-peers and -peer-binary",
		"sweep -peers a -from b":           "-from: nothing is run",
		"sweep -peer-binary no-such-file":  "no-such-file",
		"sweep -guide no-such-file":        "no-such-file",
	} {
		var stdout, stderr bytes.Buffer
		code := command(t.Context(), strings.Fields(arguments), &stdout, &stderr)
		if code != exitUsage || !strings.Contains(stderr.String(), want) || stdout.Len() > 0 {
			t.Errorf("%s: exit code %d, it printed %q and complained %q, want %q", arguments, code, &stdout, &stderr, want)
		}
		if strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%s: the complaint is not one line: %q", arguments, &stderr)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, arguments := range [][]string{{"-help"}, {"sweep", "-help"}} {
		var stdout, stderr bytes.Buffer
		if code := command(t.Context(), arguments, &stdout, &stderr); code != exitOK {
			t.Errorf("%v: exit code %d, %s", arguments, code, &stderr)
		}
		text := stdout.String() + stderr.String()
		if !strings.Contains(text, "-clients") || !strings.Contains(text, "Flags") {
			t.Errorf("%v says %q", arguments, text)
		}
	}
	if _, err := parseSettings([]string{"-help"}, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-help gives %v", err)
	}
}
