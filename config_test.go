package troupe

import (
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/trouperaft/troupe/internal/settingstest"
	"github.com/trouperaft/troupe/storage"
)

type anyMachine struct{ storage.StateMachine }

func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Config)
		field  string // "" if nothing is wrong
		says   string
	}{
		{"defaults", func(*Config) {}, "", ""},
		{"no machine", func(c *Config) { c.StateMachine = nil }, "StateMachine", "missing"},
		{"short election time-out", func(c *Config) { c.ElectionTimeout = time.Millisecond }, "ElectionTimeout", "10ms"},
		{"negative election time-out", func(c *Config) { c.ElectionTimeout = -time.Second }, "ElectionTimeout", "-1s"},
		{"endless election time-out", func(c *Config) { c.ElectionTimeout = 25 * time.Hour }, "ElectionTimeout", "24h"},
		{"heartbeats as rare as elections", func(c *Config) { c.HeartbeatInterval = time.Second }, "HeartbeatInterval", "third"},
		{"heartbeats at a third", func(c *Config) { c.ElectionTimeout, c.HeartbeatInterval = 300*time.Millisecond, 100*time.Millisecond }, "", ""},
		{"negative heartbeat", func(c *Config) { c.HeartbeatInterval = -1 }, "HeartbeatInterval", "less than 1ms"},
		{"hung before the election", func(c *Config) { c.HungLimit = 500 * time.Millisecond }, "HungLimit", "less than ElectionTimeout"},
		{"clocks that differ by all", func(c *Config) { c.ClockDriftMax = 1 }, "ClockDriftMax", "less than 1"},
		{"negative drift", func(c *Config) { c.ClockDriftMax = -0.1 }, "ClockDriftMax", "-0.1"},
		{"no number for a drift", func(c *Config) { c.ClockDriftMax = math.NaN() }, "ClockDriftMax", "NaN"},
		{"clocks that differ by half", func(c *Config) { c.ClockDriftMax = 0.5 }, "", ""},
		{"negative limit", func(c *Config) { c.WindowMessagesMax = -1 }, "WindowMessagesMax", "not positive"},
		{"command larger than the flight", func(c *Config) { c.InflightBytesMax = mib }, "InflightBytesMax", "CommandBytesMax"},
		{"command larger than the uncommitted", func(c *Config) { c.UncommittedBytesMax = mib }, "UncommittedBytesMax", "CommandBytesMax"},
		{"command larger than the log cache", func(c *Config) { c.LogCacheBytesMax = mib }, "LogCacheBytesMax", "CommandBytesMax"},
		{"command larger than the window", func(c *Config) { c.CommandBytesMax = 32 * mib }, "WindowBytesMax", "CommandBytesMax"},
		{"small everything", func(c *Config) { c.CommandBytesMax, c.WindowBytesMax, c.InflightBytesMax = 1, 49, 49 }, "", ""},
		{"no snapshots", func(c *Config) { c.SnapshotEntries, c.SnapshotLogBytes = Never, Never }, "", ""},
	} {
		c := Config{StateMachine: anyMachine{}}
		test.change(&c)
		err := c.Validate()
		var wrong *ConfigError
		switch {
		case test.field == "":
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		case !errors.As(err, &wrong):
			t.Errorf("%s: %v", test.name, err)
		case wrong.Field != "Config."+test.field || !strings.Contains(wrong.Error(), test.says):
			t.Errorf("%s: %v, want %s and %q in it", test.name, err, test.field, test.says)
		}
	}
}

// TestConfigReachesTheActors asserts that no field is forgotten on the way.
func TestConfigReachesTheActors(t *testing.T) {
	var c Config
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		switch field := fields.Field(i); {
		case field.CanInt():
			field.SetInt(int64(i + 1))
		case field.CanUint():
			field.SetUint(uint64(i + 1))
		case field.CanFloat():
			field.SetFloat(float64(i + 1))
		case field.Kind() == reflect.Func: // see below
		case field.Type() == reflect.TypeFor[ClusterID]():
			field.Set(reflect.ValueOf(ClusterID{byte(i + 1)}))
		case field.Type() == reflect.TypeFor[Autopilot]():
			field.Set(reflect.ValueOf(Autopilot{On: true, VotersMin: i}))
		default:
			field.Set(reflect.ValueOf(anyMachine{}))
		}
	}
	told := c.forActors()
	got := reflect.ValueOf(told)
	known := 0
	for _, field := range reflect.VisibleFields(got.Type()) {
		if field.Anonymous {
			continue // its fields are visible too
		}
		if field.Name == "Witness" {
			continue // NodeConfig.CheckInvariants sets it
		}
		known++
		if field.Type.Kind() == reflect.Func {
			continue // OnLeading, to which Node.start gives the handle
		}
		value := got.FieldByIndex(field.Index)
		if want := fields.FieldByName(field.Name); !want.IsValid() || !reflect.DeepEqual(want.Interface(), value.Interface()) {
			t.Errorf("%s reaches the actors as %v", field.Name, value)
		}
	}
	if known != fields.NumField() {
		t.Errorf("%d fields, of which the actors know %d", fields.NumField(), known)
	}
	c.SnapshotEntries, c.SnapshotLogBytes, c.HoldBytesMax = Never, Never, Never
	if told := c.forActors(); told.SnapshotEntries != 0 || told.SnapshotLogBytes != 0 || told.HoldBytesMax != 0 {
		t.Errorf("Never reaches the actors as %d, %d and %d", told.SnapshotEntries, told.SnapshotLogBytes, told.HoldBytesMax)
	}
}

func TestNodeConfigValidate(t *testing.T) {
	type network struct{ Network }
	type snapshots struct{ SnapshotStore }
	right := NodeConfig{ID: 1, Network: network{}, Log: ownedLog{node: 1}, Snapshots: snapshots{}}
	for _, test := range []struct {
		name   string
		change func(*NodeConfig)
		field  string
	}{
		{"right", func(*NodeConfig) {}, ""},
		{"no id", func(c *NodeConfig) { c.ID = 0 }, "ID"},
		{"no network", func(c *NodeConfig) { c.Network = nil }, "Network"},
		{"no log", func(c *NodeConfig) { c.Log = nil }, "Log"},
		{"no snapshots", func(c *NodeConfig) { c.Snapshots = nil }, "Snapshots"},
		{"negative proposals", func(c *NodeConfig) { c.InflightProposalsMax = -1 }, "InflightProposalsMax"},
		{"negative bytes", func(c *NodeConfig) { c.InflightBytesMax = -1 }, "InflightBytesMax"},
	} {
		c := right
		test.change(&c)
		err := c.Validate()
		var wrong *ConfigError
		switch {
		case test.field == "":
			if err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		case !errors.As(err, &wrong) || wrong.Field != "NodeConfig."+test.field:
			t.Errorf("%s: %v", test.name, err)
		}
	}
	right.ID = 2
	var owner *WrongNodeError
	if err := right.Validate(); !errors.As(err, &owner) || owner.Owner != 1 {
		t.Errorf("another node's log: %v", err)
	}
}

// TestNegativeSettings asserts that each number that can be negative has a rule.
func TestNegativeSettings(t *testing.T) {
	settingstest.Negative(t, Config{StateMachine: anyMachine{}}, Config.Validate)
	type network struct{ Network }
	type snapshots struct{ SnapshotStore }
	settingstest.Negative(t, NodeConfig{ID: 1, Network: network{}, Log: ownedLog{node: 1}, Snapshots: snapshots{}}, NodeConfig.Validate)
}

// TestBriefTimes asserts that no time may be a nanosecond.
func TestBriefTimes(t *testing.T) {
	settingstest.Brief(t, Config{StateMachine: anyMachine{}}, Config.Validate)
}

// ownedLog is a store of which only the header is asked.
type ownedLog struct {
	LogStore
	node NodeID
}

func (l ownedLog) Header() storage.Header { return storage.Header{Node: l.node} }
