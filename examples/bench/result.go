package main

// result is the line of JSON that a run prints. The keys down to replicated are
// those of the peers, with the same meaning; the others say more.
type result struct {
	Peer         string  `json:"peer"`
	Store        string  `json:"store"`
	Mode         string  `json:"mode"`
	Clients      int     `json:"clients"`
	PayloadBytes int     `json:"payload"`
	Operations   uint64  `json:"ops"`
	Seconds      float64 `json:"seconds"`
	PerSecond    float64 `json:"ops_per_sec"`
	P50us        float64 `json:"p50_us"`
	P99us        float64 `json:"p99_us"`
	P999us       float64 `json:"p999_us"`
	Allocations  float64 `json:"allocs_per_op"`
	Bytes        float64 `json:"bytes_per_op"`
	CPUus        float64 `json:"cpu_us_per_op"`
	Errors       uint64  `json:"errors"`
	Replicated   bool    `json:"replicated"`

	Nodes           int     `json:"nodes"`
	Groups          int     `json:"groups"`
	Batch           int     `json:"propose_batch"`
	SnapshotEntries uint64  `json:"snapshot_entries"`
	Hogs            int     `json:"hogs"`
	SlowFollower    int     `json:"slow_follower"`
	WaitsPerOp      float64 `json:"thread_waits_per_op"`
	GCCycles        uint32  `json:"gc_cycles"`
	TermChanges     uint64  `json:"term_changes"`
	Go              string  `json:"go"`
	CPUs            int     `json:"cpus"`

	Reads *readResult  `json:"reads,omitempty"`
	Open  *openResult  `json:"open_loop,omitempty"`
	Spans *spansResult `json:"spans,omitempty"`
}

// readResult splits the operations of a run with reads.
type readResult struct {
	Mode        string  `json:"mode"`
	At          string  `json:"at"`
	Percent     int     `json:"percent"`
	Operations  uint64  `json:"ops"`
	PerSecond   float64 `json:"ops_per_sec"`
	P50us       float64 `json:"p50_us"`
	P99us       float64 `json:"p99_us"`
	P999us      float64 `json:"p999_us"`
	WriteP50us  float64 `json:"write_p50_us"`
	WriteP99us  float64 `json:"write_p99_us"`
	WriteP999us float64 `json:"write_p999_us"`
}

// openResult says how an open loop kept its schedule.
type openResult struct {
	Rate     float64 `json:"rate"`
	LagP50us float64 `json:"start_lag_p50_us"`
	LagP99us float64 `json:"start_lag_p99_us"`
	Unserved uint64  `json:"unserved"`
}
