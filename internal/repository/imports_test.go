package repository

import (
	"encoding/json"
	"errors"
	"go/parser"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// floors lists the packages from the ground up. A package may import those of
// lower floors, and of its own floor what lies below its own path or above it.
var floors = []struct {
	name     string
	packages []string
}{
	{"membership", []string{"membership"}},
	{"core", []string{"core"}},
	{"contracts and their implementations", []string{"storage", "network", "metrics", "tracing"}},
	{"actors", []string{"actors"}},
	{"troupe", []string{""}},
	{"users", []string{"examples"}},
}

// libraries says which packages alone may import a library directly, their
// tests included.
var libraries = []struct {
	prefix  string
	allowed []string
}{
	{"github.com/asynkron/protoactor-go", []string{"actors/stage"}},
	{"github.com/dgraph-io/badger", []string{"storage/badger", "examples/kv/internal/machine"}},
	{"google.golang.org/protobuf", []string{"network", "storage/badger", "tracing/otlp"}},
	{"google.golang.org/grpc", []string{"tracing/otlp", "examples"}},
	{"go.opentelemetry.io/otel/exporters", []string{"tracing/otlp", "metrics/prometheus"}},
	{"github.com/prometheus", []string{"metrics/prometheus"}},
}

// listed is what the tests need of go list's answer.
type listed struct {
	ImportPath   string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// house returns the path inside the module, and whether it is one of ours.
func house(importPath string) (string, bool) {
	if importPath == module {
		return "", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// list asks the go command, which knows the packages of all modules as "work".
func list(t *testing.T, arguments ...string) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Standard,Imports,TestImports,XTestImports"}, arguments...)...)
	command.Dir, command.Env = root(t), workspace(t)
	output, err := command.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			t.Fatalf("go list %s: %v\n%s", strings.Join(arguments, " "), err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []listed
	decoder := json.NewDecoder(strings.NewReader(string(output)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
	if len(packages) == 0 {
		t.Fatalf("go list %s found nothing", strings.Join(arguments, " "))
	}
	return packages
}

// TestCoreIsPure asserts that the engine and the streams can depend on nothing but
// the standard library, through no detour either.
func TestCoreIsPure(t *testing.T) {
	for _, p := range list(t, "-deps", "./core/...", "./membership") {
		if path, ours := house(p.ImportPath); !p.Standard && (!ours || path != "core" && path != "core/stream" && path != "membership") {
			t.Errorf("core or membership depends on %s", p.ImportPath)
		}
	}
	for _, p := range list(t, "./core/...") {
		for _, forbidden := range []string{"log", "log/slog", "net", "os", "sync", "context"} {
			if slices.Contains(p.Imports, forbidden) {
				t.Errorf("%s imports %s: it has no goroutine, clock, logger or I/O", p.ImportPath, forbidden)
			}
		}
	}
}

// TestLibrariesStayInTheirRooms asserts who imports a library directly.
func TestLibrariesStayInTheirRooms(t *testing.T) {
	for _, p := range list(t, "work") {
		path, _ := house(p.ImportPath)
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			for _, library := range libraries {
				if within(imported, library.prefix) && !slices.ContainsFunc(library.allowed, func(a string) bool { return within(path, a) }) {
					t.Errorf("%s imports %s: only %s may", p.ImportPath, imported, strings.Join(library.allowed, ", "))
				}
			}
		}
	}
}

// TestStageKnowsNoPlay asserts that what actors run on knows nothing of the
// actors, of Raft, or of anything else in the module, and that protoactor stands
// behind it: who brings an environment does not see it.
func TestStageKnowsNoPlay(t *testing.T) {
	const stage = "actors/stage"
	behind := false
	for _, p := range list(t, "./"+stage+"/...") {
		path, _ := house(p.ImportPath)
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if target, ours := house(imported); ours && !within(target, stage) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			if within(imported, "github.com/asynkron/protoactor-go") {
				behind = true
				if path != stage {
					t.Errorf("%s imports %s: only %s may", p.ImportPath, imported, stage)
				}
			}
		}
	}
	if !behind {
		t.Error("protoactor is imported nowhere: what is this test for?")
	}
}

// rooms says which packages of the module each room of the actors imports. None knows
// the actors of a group, whose package stands above all of them.
var rooms = map[string][]string{
	"actors/stage":           {},
	"actors/stage/stagetest": {"actors/stage"},
	"actors/admission":       {},
	"actors/memlog":          {"core"},
	"actors/calls":           {"actors/stage"},
	"actors/observe":         {"actors/calls", "actors/stage", "core", "internal/foreign", "membership", "metrics", "network", "tracing"},
	"actors/disk":            {"actors/calls", "actors/memlog", "actors/observe", "actors/stage", "core", "membership", "network", "storage"},
	"actors/snapshots":       {"actors/calls", "actors/observe", "actors/stage", "core", "membership", "network", "storage"},
}

// TestRoomsKnowWhatTheyNeed asserts the imports of the rooms of the actors: whoever
// reads one needs to know those rooms and no other.
func TestRoomsKnowWhatTheyNeed(t *testing.T) {
	found := make(map[string][]string)
	for _, p := range list(t, "./actors/...") {
		room, _ := house(p.ImportPath)
		if room == "actors" {
			continue
		}
		found[room] = []string{}
		for _, imported := range p.Imports {
			if target, ours := house(imported); ours {
				found[room] = append(found[room], target)
			}
		}
		if know, listed := rooms[room]; !listed {
			t.Errorf("the room %s is not listed", room)
		} else if !slices.Equal(found[room], know) {
			t.Errorf("%s imports %q, and not %q", room, found[room], know)
		}
	}
	for room := range rooms {
		if found[room] == nil {
			t.Errorf("there is no room %s", room)
		}
	}
}

// TestActorsObserveNothingThemselves asserts that the actors know nothing of spans
// and instruments: package observe does, and the configuration that is handed on.
func TestActorsObserveNothingThemselves(t *testing.T) {
	observers := 0
	for _, s := range sources(t, func(p string) bool { return inActors(p) && isGo(p) && !strings.HasSuffix(p, "_test.go") }) {
		_, file := s.parsed(t, parser.ImportsOnly)
		for _, imported := range file.Imports {
			name := strings.Trim(imported.Path.Value, "\"")
			target, _ := house(name)
			if !within(name, "go.opentelemetry.io") && target != "tracing" && target != "metrics" {
				continue
			}
			switch {
			case strings.HasPrefix(s.path, "actors/observe/"):
				observers++
			case s.path != "actors/config.go":
				t.Errorf("%s imports %s", s.path, name)
			}
		}
	}
	if observers == 0 {
		t.Error("actors/observe imports none of them: what is this test for?")
	}
}

// TestImportsRunOneWay asserts the direction of the imports between packages
// of all modules. Tests may look upwards; internal packages may serve anyone
// and stand outside.
func TestImportsRunOneWay(t *testing.T) {
	seen := 0
	for _, p := range list(t, "work") {
		path, _ := house(p.ImportPath)
		from := floor(path)
		if from < 0 {
			if !within(path, "internal") {
				t.Errorf("package %q stands on no floor", path)
			}
			continue
		}
		seen++
		for _, imported := range p.Imports {
			target, ours := house(imported)
			if !ours || within(target, "internal") {
				continue
			}
			switch to := floor(target); {
			case to > from:
				t.Errorf("%s (%s) imports %s (%s)", p.ImportPath, floors[from].name, imported, floors[to].name)
			case to == from && !neighbours(path, target):
				t.Errorf("%s imports %s beside it on the floor of %s", p.ImportPath, imported, floors[from].name)
			}
		}
		if path == "" {
			for _, imported := range p.Imports {
				target, _ := house(imported)
				if strings.HasPrefix(target, "storage/") || strings.HasPrefix(target, "network/") {
					t.Errorf("package troupe imports the implementation %s", imported)
				}
			}
		}
	}
	if seen < 5 {
		t.Errorf("only %d packages were looked at", seen)
	}
}

// floor returns the number of the floor on which a package stands, -1 if none.
func floor(path string) int {
	for i, f := range floors {
		for _, p := range f.packages {
			if path == p || p != "" && within(path, p) {
				return i
			}
		}
	}
	return -1
}

// neighbours reports whether two packages of one floor may know each other:
// a contract and its implementations, or the contracts of the same room.
func neighbours(path, imported string) bool {
	room, _, _ := strings.Cut(path, "/")
	other, _, _ := strings.Cut(imported, "/")
	return room == other
}

func within(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}
