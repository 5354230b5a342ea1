package repository

import (
	"encoding/json"
	"maps"
	"os/exec"
	"path"
	"slices"
	"testing"
)

// apart is the module that is no part of the workspace: what it measures shall
// have the versions that it asks for.
const apart = "examples/bench/peers"

// goMod is what the tests need of a go.mod or of go.work.
type goMod struct {
	Module  struct{ Path string }
	Require []struct {
		Path, Version string
		Indirect      bool
	}
	Use     []struct{ DiskPath string }
	Replace []struct {
		Old struct{ Path, Version string }
		New struct{ Path string }
	}
	Exclude []struct{ Path string }
}

func edited(t *testing.T, arguments ...string) (parsed goMod) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", arguments...)
	command.Dir, command.Env = root(t), workspace(t)
	output, err := command.Output()
	if err == nil {
		err = json.Unmarshal(output, &parsed)
	}
	if err != nil {
		t.Fatalf("go %v: %v", arguments, err)
	}
	return parsed
}

// modules returns the go.mod of each module, by its directory.
func modules(t *testing.T) map[string]goMod {
	t.Helper()
	found := make(map[string]goMod)
	for _, s := range sources(t, func(p string) bool { return path.Base(p) == "go.mod" }) {
		found[path.Dir(s.path)] = edited(t, "mod", "edit", "-json", s.path)
	}
	if found["."].Module.Path != module || len(found) < 3 {
		t.Fatalf("the modules %v were found", slices.Sorted(maps.Keys(found)))
	}
	return found
}

// TestWorkspaceHasAllModules asserts that go.work uses every module but the one
// that stands apart, and that each has the path of its directory.
func TestWorkspaceHasAllModules(t *testing.T) {
	used := make(map[string]bool)
	for _, use := range edited(t, "work", "edit", "-json").Use {
		used[path.Clean(use.DiskPath)] = true
	}
	for dir, m := range modules(t) {
		if want := path.Join(module, dir); m.Module.Path != want {
			t.Errorf("the module in %s is called %s, want %s", dir, m.Module.Path, want)
		}
		if used[dir] != (dir != apart) {
			t.Errorf("go.work uses %s: %v", dir, used[dir])
		}
	}
}

// TestModulesCanBeTagged asserts that what go.mod says holds for others too: no
// replacement, which counts here alone; and one version by which the house's
// modules require each other, which go.work points to this tree.
func TestModulesCanBeTagged(t *testing.T) {
	version := ""
	required := make(map[string]bool)
	for dir, m := range modules(t) {
		if len(m.Replace)+len(m.Exclude) > 0 {
			t.Errorf("%s/go.mod replaces or excludes modules", dir)
		}
		for _, r := range m.Require {
			if _, ours := house(r.Path); !ours {
				continue
			}
			required[r.Path] = true
			if version == "" {
				version = r.Version
			}
			if r.Version != version {
				t.Errorf("%s/go.mod requires %s %s, another module one of the house at %s", dir, r.Path, r.Version, version)
			}
		}
	}
	if !required[module] {
		t.Error("no module requires the root's")
	}
	for _, r := range edited(t, "work", "edit", "-json").Replace {
		if !required[r.Old.Path] || r.Old.Version != version || path.Join(module, r.New.Path) != r.Old.Path {
			t.Errorf("go.work replaces %s %s by %s, want what is required, %s, by this tree", r.Old.Path, r.Old.Version, r.New.Path, version)
		}
		delete(required, r.Old.Path)
	}
	for path := range required {
		t.Errorf("go.work does not replace %s %s by this tree", path, version)
	}
}

// TestModulesAgreeOnVersions asserts that the modules of the workspace require a
// library by the same version: what is tested together is then what each of them
// asks for alone.
func TestModulesAgreeOnVersions(t *testing.T) {
	all := modules(t)
	type requirement struct{ dir, version string }
	seen := make(map[string]requirement)
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		if dir == apart {
			continue
		}
		for _, r := range all[dir].Require {
			if first, ok := seen[r.Path]; ok && first.version != r.Version {
				t.Errorf("%s/go.mod requires %s %s, and %s/go.mod %s", dir, r.Path, r.Version, first.dir, first.version)
			} else if !ok {
				seen[r.Path] = requirement{dir, r.Version}
			}
		}
	}
}

// TestRootModuleStaysSmall asserts that a program that imports the library does
// not get what serves its examples and exporters alone. Protoactor's own metrics
// bring OpenTelemetry's exporter for Prometheus; nothing of the library asks for it.
func TestRootModuleStaysSmall(t *testing.T) {
	for _, r := range modules(t)["."].Require {
		for _, heavy := range []string{
			module, "github.com/spf13", "google.golang.org/grpc", "google.golang.org/genproto", "github.com/grpc-ecosystem",
			"go.opentelemetry.io/proto", "go.opentelemetry.io/otel/exporters/otlp",
		} {
			if within(r.Path, heavy) {
				t.Errorf("go.mod requires %s", r.Path)
			}
		}
		for _, indirect := range []string{"github.com/prometheus", "go.opentelemetry.io/otel/exporters"} {
			if within(r.Path, indirect) && !r.Indirect {
				t.Errorf("go.mod requires %s for the library itself", r.Path)
			}
		}
	}
}
