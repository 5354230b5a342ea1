package repository

import (
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// How a call of foreign code is made, so that one that lasts or hangs holds up only
// those who need its answer (rule 28).
const (
	// byDo: in the call of a Shell.Do or of an Environment.Do, which gives its worker's
	// place up as soon as it lasts.
	byDo = "Do"
	// byRelease: in a Shell.Release, which is carried out in the same way.
	byRelease = "Release"
	// byCaller: on the goroutine of whoever starts, recovers or restores a node or a group.
	byCaller = "caller"
)

// foreignCalls are all calls of what a user plugs in and what may block: its place, and
// how it is made. A call that is added needs a line here, and has to be made in one of
// these ways.
var foreignCalls = map[string]string{
	"actors/apply_actor.go applyEntries: StateMachine.Apply":          byDo,
	"actors/apply_actor.go fetchFromStore: LogStore.Read":             byDo,
	"actors/apply_actor.go withSnapshot: SnapshotReader.Close":        byDo,
	"actors/apply_actor.go withSnapshot: SnapshotStore.Open":          byDo,
	"actors/apply_actor.go readSnapshot: StateMachine.Restore":        byDo,
	"actors/disk/keeper.go keep: LogStore.KeepPeer":                   byDo,
	"actors/disk/keeper.go refuse: LogStore.Refuse":                   byDo,
	"actors/disk/log_actor.go write: LogStore.Write":                  byDo,
	"actors/disk/promises.go Raise: LogStore.RecordPromise":           byCaller,
	"actors/disk/promises.go lower: LogStore.RecordPromise":           byDo,
	"actors/node.go NewNode: Network.Start":                           byCaller,
	"actors/node.go logEnded: Network.Close":                          byDo,
	"actors/replication_actor.go readStore: LogStore.Read":            byDo,
	"actors/snapshots/builder.go closeUnwritten: SnapshotView.Close":  byRelease,
	"actors/snapshots/builder.go write: FileStore.CreateFiles":        byDo,
	"actors/snapshots/builder.go write: FileView.Files":               byDo,
	"actors/snapshots/builder.go write: SnapshotStore.Create":         byDo,
	"actors/snapshots/builder.go write: SnapshotView.Close":           byDo,
	"actors/snapshots/builder.go write: SnapshotView.WriteTo":         byDo,
	"actors/snapshots/builder.go write: SnapshotWriter.Abort":         byDo,
	"actors/snapshots/builder.go write: SnapshotWriter.Commit":        byDo,
	"actors/snapshots/exporter.go closeUnwritten: SnapshotView.Close": byRelease,
	"actors/snapshots/exporter.go write: SnapshotView.Close":          byDo,
	"actors/snapshots/exporter.go write: SnapshotView.WriteTo":        byDo,
	"actors/snapshots/gentle.go Write: SnapshotWriter.Write":          byDo,
	"actors/snapshots/gentle.go pay: PiecewiseWriter.Sync":            byDo,
	"actors/snapshots/receiver.go abort: SnapshotWriter.Abort":        byDo + ", " + byRelease,
	"actors/snapshots/receiver.go commit: SnapshotWriter.Commit":      byDo,
	"actors/snapshots/receiver.go letGo: SuspendableWriter.Suspend":   byDo + ", " + byRelease,
	"actors/snapshots/receiver.go open: FileStore.ResumeFiles":        byDo,
	"actors/snapshots/receiver.go open: Resuming.Resume":              byDo,
	"actors/snapshots/receiver.go open: SnapshotStore.Create":         byDo,
	"actors/snapshots/receiver.go take: SnapshotWriter.Write":         byDo,
	"actors/records.go askDurable: LogStore.Read":                     byDo,
	"actors/records.go askDurable: StateMachine.Applied":              byDo,
	"actors/records.go loadRecord: Recorder.Recorded":                 byCaller,
	"actors/snapshots/recorder.go record: Recorder.Record":            byDo,
	"recover.go planGroup: Recorder.Recorded":                         byCaller,
	"recover_write.go writeRecord: Recorder.Record":                   byCaller,
	"restore.go checkEmpty: Recorder.Recorded":                        byCaller,
	"actors/snapshots/removal.go remove: SnapshotStore.RemoveBelow":   byDo,
	"actors/snapshots/sender.go closeReader: SnapshotReader.Close":    byDo + ", " + byRelease,
	"actors/snapshots/sender.go openAgain: SnapshotReader.Close":      byDo,
	"actors/snapshots/sender.go openAgain: SnapshotStore.Open":        byDo,
	"actors/snapshots/sender.go openSnapshot: SnapshotStore.Newest":   byDo,
	"actors/snapshots/sender.go openSnapshot: SnapshotStore.Open":     byDo,
	"actors/snapshots/sender.go read: io.ReadFull(SnapshotReader)":    byDo,
	"actors/snapshots/sender.go verifyEnd: SnapshotReader.Read":       byDo,
	"actors/follow_log.go readApplied: LogStore.Read":                 byCaller,
	"actors/start.go sealedFilesOf: FileMachine.SealedFiles":          byDo,
	"actors/start.go appliedTime: LogStore.Read":                      byCaller,
	"actors/replicas.go Remove: LogStore.Write":                       byCaller,
	"actors/replicas.go removeSnapshots: SnapshotStore.RemoveBelow":   byCaller,
	"actors/start.go loadState: SnapshotStore.Newest":                 byCaller,
	"actors/start.go loadState: StateMachine.Applied":                 byCaller,
	"actors/views.go closeTaken: SnapshotView.Close":                  byRelease,
	"actors/views.go closeViews: SnapshotView.Close":                  byRelease,
	"actors/views.go takeView: StateMachine.View":                     byDo,
	"actors/snapshots/unfinished.go Link: FileReader.Link":            byDo,
	"restore.go Restore: SnapshotStore.Create":                        byCaller,
	"restore.go Restore: SnapshotWriter.Abort":                        byCaller,
	"restore.go Restore: SnapshotWriter.Commit":                       byCaller,
	"restore.go Restore: io.Copy(SnapshotWriter)":                     byCaller,
	"restore.go checkEmpty: LogStore.Load":                            byCaller,
	"restore.go checkEmpty: SnapshotStore.Newest":                     byCaller,
	"restore.go writeLog: LogStore.Write":                             byCaller,
	"recover.go Recover: Network.Close":                               byCaller,
	"recover.go planGroup: SnapshotStore.Newest":                      byCaller,
	"recover_ask.go ask: Network.Close":                               byCaller,
	"recover_ask.go run: Network.Start":                               byCaller,
	"recover_write.go carryOut: LogStore.Write":                       byCaller,
	"recover_write.go carryOut: SnapshotWriter.Abort":                 byCaller,
	"recover_write.go carryOut: SnapshotWriter.Commit":                byCaller,
	"recover_write.go copySnapshot: SnapshotReader.Close":             byCaller,
	"recover_write.go copySnapshot: SnapshotStore.Create":             byCaller,
	"recover_write.go copySnapshot: SnapshotStore.Open":               byCaller,
	"recover_write.go copySnapshot: SnapshotWriter.Abort":             byCaller,
	"recover_write.go copySnapshot: io.Copy(SnapshotWriter)":          byCaller,
	"recover_write.go finish: SnapshotWriter.Commit":                  byCaller,
}

// quickCalls wait for nothing, as their contracts say.
var quickCalls = []string{
	"LogStore.Header", "LogStore.Limits", "LogStore.Peers", "SnapshotReader.Meta", "FileReader.HeadBytes",
	"Network.Address", "Network.Break", "Network.MessageBytesMax", "Network.Send", "Network.Sent", "Network.SetAddress", "Network.SetCluster",
}

// TestForeignCallsAreListed asserts that each call of a state machine, a store, a
// network, or of their readers, writers and views stands in the list, and each line of
// the list stands for one.
func TestForeignCallsAreListed(t *testing.T) {
	found := make(map[string]bool)
	check := newForeignCheck(t)
	for _, dir := range check.dirs {
		check.packageIn(t, dir, func(site, call string) {
			if !slices.Contains(quickCalls, call) {
				found[site+": "+call] = true
			}
		})
	}
	for _, site := range slices.Sorted(maps.Keys(found)) {
		if foreignCalls[site] == "" {
			t.Errorf("%s may block, and is not listed: an actor makes it by Shell.Do, or as its Release", site)
		}
	}
	for _, site := range slices.Sorted(maps.Keys(foreignCalls)) {
		if !found[site] {
			t.Errorf("%s is listed, and is not there", site)
		}
	}
}

// foreignCheck finds calls of foreign interfaces in the packages that are given them.
type foreignCheck struct {
	files    *token.FileSet
	importer types.Importer
	dirs     []string
	foreign  map[*types.TypeName]bool
}

func newForeignCheck(t *testing.T) *foreignCheck {
	t.Helper()
	command := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}\t{{.Export}}", ".", "./actors/...")
	command.Dir, command.Env = root(t), workspace(t)
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := make(map[string]string)
	c := &foreignCheck{files: token.NewFileSet(), foreign: make(map[*types.TypeName]bool)}
	for line := range strings.Lines(string(out)) {
		path, export, _ := strings.Cut(strings.TrimSpace(line), "\t")
		exports[path] = export
		if dir, ours := house(path); ours && (dir == "" || dir == "actors" || strings.HasPrefix(dir, "actors/")) {
			c.dirs = append(c.dirs, dir)
		}
	}
	c.importer = importer.ForCompiler(c.files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	for path, names := range map[string][]string{
		"storage": {"LogStore", "StateMachine", "SnapshotStore", "SnapshotReader", "SnapshotWriter", "SnapshotView", "Resuming", "SuspendableWriter", "PiecewiseWriter",
			"FileView", "FileMachine", "FileStore", "FileReader", "Recorder"},
		"network": {"Network"},
	} {
		p, err := c.importer.Import(module + "/" + path)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			c.foreign[p.Scope().Lookup(name).(*types.TypeName)] = true
		}
	}
	return c
}

// packageIn finds the calls of one package: where each is, and what is called.
func (c *foreignCheck) packageIn(t *testing.T, dir string, found func(site, call string)) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var parsed []*ast.File
	sites := make(map[*ast.File]string)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(name, "_other.go") {
			continue
		}
		file, err := parser.ParseFile(c.files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, file)
		sites[file] = filepath.ToSlash(filepath.Join(dir, filepath.Base(name)))
	}
	info := &types.Info{Types: make(map[ast.Expr]types.TypeAndValue), Selections: make(map[*ast.SelectorExpr]*types.Selection), Uses: make(map[*ast.Ident]types.Object)}
	if _, err := (&types.Config{Importer: c.importer}).Check(dir, c.files, parsed, info); err != nil {
		t.Fatal(err)
	}
	for _, file := range parsed {
		for _, declaration := range file.Decls {
			name := "a declaration"
			if f, ok := declaration.(*ast.FuncDecl); ok {
				name = f.Name.Name
			}
			ast.Inspect(declaration, func(node ast.Node) bool {
				c.look(info, node, func(call string) { found(sites[file]+" "+name, call) })
				return true
			})
		}
	}
}

// look finds a method of a foreign interface, whether it is called or handed on, and a
// foreign value that is handed to a function of another module.
func (c *foreignCheck) look(info *types.Info, node ast.Node, found func(call string)) {
	switch node := node.(type) {
	case *ast.SelectorExpr:
		if s := info.Selections[node]; s != nil && s.Kind() == types.MethodVal {
			name := c.nameOf(s.Recv())
			if of := s.Obj().(*types.Func).Signature().Recv(); name == "" && of != nil {
				name = c.nameOf(of.Type()) // it is embedded
			}
			if name != "" {
				found(name + "." + node.Sel.Name)
			}
		}
	case *ast.CallExpr:
		f, ok := node.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		of := info.Uses[f.Sel]
		if of == nil || of.Pkg() == nil {
			return
		}
		if _, ours := house(of.Pkg().Path()); ours || info.Selections[f] != nil {
			return
		}
		for _, argument := range node.Args {
			if name := c.nameOf(info.Types[argument].Type); name != "" {
				found(fmt.Sprintf("%s.%s(%s)", of.Pkg().Name(), of.Name(), name))
			}
		}
	}
}

// nameOf names a foreign type, "" if it is none.
func (c *foreignCheck) nameOf(t types.Type) string {
	if named, ok := t.(*types.Named); ok && c.foreign[named.Obj()] {
		return named.Obj().Name()
	}
	return ""
}
