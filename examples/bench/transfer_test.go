package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// TestTransfer moves a small snapshot twice.
func TestTransfer(t *testing.T) {
	code, stdout, stderr := bench(t, t.Context(), "transfer", "-bytes", "3MiB", "-chunk", "100000", "-rounds", "2")
	var r transferResult
	if err := json.Unmarshal([]byte(stdout), &r); err != nil || code != exitOK {
		t.Fatalf("exit code %d, %v; it printed %q and complained %q", code, err, stdout, stderr)
	}
	if r.Bytes != 3<<20 || r.Rounds != 2 || r.MiBPerSec <= 0 || r.ConnectionMiBs <= 0 || r.DiskMiBs <= 0 || r.Ratio <= 0 || r.BuildMiBs <= 0 || r.RestoreMiBs <= 0 {
		t.Errorf("it gave %s", stdout)
	}
}

func TestTransferMisuse(t *testing.T) {
	for arguments, want := range map[string]string{
		"-bytes 1":       "-bytes 1: not between 1KiB and 1024GiB",
		"-bytes 1GB":     `-bytes "1GB": it is no size such as 1GiB`,
		"-bytes 9999TiB": `-bytes "9999TiB"`,
		"-rounds 0":      "-rounds 0",
		"-chunk -1":      "-chunk -1",
		"now":            `unexpected argument "now"`,
	} {
		code, stdout, stderr := bench(t, t.Context(), append([]string{"transfer"}, strings.Fields(arguments)...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("transfer %s: exit code %d, %q", arguments, code, stderr)
		}
	}
}

// TestGuideListsTheTransfer asserts that the guide explains each key of its line.
func TestGuideListsTheTransfer(t *testing.T) {
	rows := guideTable(t, "Keys of a transfer")
	keys := keysOf(reflect.TypeFor[transferResult](), "")
	for i, key := range keys {
		if i >= len(rows) || rows[i][0] != "`"+key+"`" {
			t.Fatalf("row %d does not explain `%s`", i+1, key)
		}
	}
	if len(rows) > len(keys) {
		t.Errorf("the guide explains %s, which is no key", rows[len(keys)][0])
	}
}
