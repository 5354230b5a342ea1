// Package badger keeps the hard states and logs of all groups of a node in one
// badger database.
//
// A directory holds the database in log/. Beside it are LOCK, the watermark
// file and, once a peer was kept, the file PEERS. One Batch is one badger
// transaction. On Linux that takes one sync of the disk, elsewhere the two that
// badger makes. So large batches give throughput. The entries that a Batch
// appends to a group are packed into chunks. Each chunk is one value below
// badger's value threshold, so that the value log is never used. Badger runs in
// its managed mode, and the store counts a version for each transaction. It
// reads directories of either mode.
//
// Badger silently drops what follows a bad record of its write-ahead log, and
// silently skips a bad table. So this package checks what badger does not:
//   - each entry has a CRC-32C of its own, chained to the one before it;
//   - each change of a group rewrites two records: the group's record, which
//     holds the end of that chain, and the record of the batch, which holds its
//     number and a digest of the records of all groups. So a hole anywhere is
//     found when the store is opened or the group is loaded;
//   - the watermark file holds the number of the last durable batch, so that
//     the loss of the newest batches is found as well, and which batch changed a
//     group last, for the 256 groups that were changed last. It is rewritten at once
//     for hard states, promises, refusals and start counters, and otherwise at
//     most about a second late, or ten while the process has no descriptor for
//     it. It never names a batch that is not durable.
//
// A page that the disk refused to write stays in the system's memory, and counts as
// written from then on. So Open writes the write-ahead logs and the manifest again, at
// a new place, before badger reads them: what Load returns is on the disk. After a
// Close there is no log to write.
//
// Damage that is found is an error that wraps core.ErrCorrupt. If the checks tell
// whose it is, the store opens, and only the Load and Read of these groups give the
// error: when an entry is lost, when batches are lost before the watermark, when a
// table is gone, when a block of one is damaged, or when a block of a table or of a
// write-ahead log cannot be read. What can be read of such a file takes its place, and
// the file is kept beside it, under a name that ends with ".damaged". The damage stays:
// the way back for the group is an empty directory, with which the node has to replace
// what it was. Damage of the rest, of the header, the manifest, the end of a
// write-ahead log, or of groups that nobody can name, is that of the store, and Open
// gives the error. What the disk cannot read is then an error of the system, which
// names the file, and no core.ErrCorrupt. By then badger may have cut its files: save
// the directory before you open it a second time.
//
// PEERS has what is kept of other nodes. It is replaced as a whole, with two
// syncs of its own, independently of any batch. If it is damaged, the error
// names it. To remove it while the store is closed loses only what was learned
// of other nodes' starts and addresses. The store cannot detect that it was
// removed.
//
// Three faults cannot be detected, or not in time. A disk may lose what it said was
// durable. The loss of the newest batches is not found if they were written after the
// last rewriting of the watermark, so within about the last second. Hard states,
// promises and refusals are excepted. A disk may fill up beyond the free-space guard
// while badger writes to its mapped files. That ends the process with a fault, but the
// data stays good. And a block may become unreadable while the store is open. Load and
// Read make an error of it that names the file, but if badger compacts the table
// before, that ends the process with a fault. The next Open finds the block.
//
// An inspection (Options.Inspect) changes no file of the store, also after a kill. Badger
// then opens a directory for temporary files that has links to the tables, and copies of
// the manifest and of the write-ahead logs, which it replays in memory.
//
// A store that was refused opens only with Options.Inspect. The refusal is in
// the header. It is checked before the start counter is raised, but after
// badger has replayed its write-ahead log, as it does at every opening. So
// badger's files may change then, but their content does not.
//
// A Read or Load never waits for the batch that is being synced, and sees
// nothing of it before it is durable. The space of purged entries is reclaimed
// in the background. A truncation of more than 4,096 chunks, or a Reset that
// removes as many beyond its index, is carried out from the end in several
// transactions. A crash in between leaves a log that ends later than asked for.
// Raft allows that, because nothing of it was committed.
package badger
