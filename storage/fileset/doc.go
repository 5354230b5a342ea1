// Package fileset is for state machines that keep their state in files: it makes snapshots
// of them, and files of snapshots.
//
// A machine keeps most of its state in files that are never written again, the sealed ones,
// and the rest in a few that are. Its View calls [NewView] with all of them, and its Restore
// calls [Extract]. A snapshot store that keeps files by themselves (storage.FileStore) links
// the sealed ones, so that a snapshot costs neither room nor writing, and Restore links them
// back. With any other store they are one stream.
//
// A link shares the file: who writes to a sealed file destroys the snapshots that have it.
package fileset
