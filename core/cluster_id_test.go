package core

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// TestClusterIDIsNotPrinted: whatever prints a value that holds the id prints a
// hash of it (rule 27).
func TestClusterIDIsNotPrinted(t *testing.T) {
	id := clusterID(0x5ec7e7)
	hard := HardState{Term: 1, Cluster: id}
	encoded, err := json.Marshal(hard)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "cluster", id)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cluster", id, "hard", hard)
	for name, text := range map[string]string{
		"%v": fmt.Sprintf("%v", hard), "%+v": fmt.Sprintf("%+v", hard), "%#v": fmt.Sprintf("%#v", hard), "%x": fmt.Sprintf("%x", id),
		"%d": fmt.Sprintf("%d", id), "%s": fmt.Sprint(id), "JSON": string(encoded), "slog": log.String(),
	} {
		if strings.Contains(text, "5ec7e7") || strings.Contains(text, "94 199 231") || strings.Contains(text, "0x5e") {
			t.Errorf("%s tells the id: %s", name, text)
		}
		if !strings.Contains(text, id.String()) {
			t.Errorf("%s does not tell the hash %v: %s", name, id, text)
		}
	}
	if back, err := ParseClusterID(id.Secret()); err != nil || back != id {
		t.Errorf("parsed %v: %v", back == id, err)
	}
	for _, bad := range []string{"", "5e", strings.Repeat("x", 32), strings.Repeat("0", 34)} {
		if _, err := ParseClusterID(bad); err == nil {
			t.Errorf("%q was parsed", bad)
		}
	}
}

// clusterID makes an id that ends with n.
func clusterID(n uint32) (c ClusterID) {
	c[0], c[12], c[13], c[14], c[15] = 0xc, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return c
}
