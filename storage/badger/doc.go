// Package badger keeps the hard states and logs of all groups of a node in one
// badger database.
//
// A directory holds the database in log/, and beside it LOCK, the watermark file
// and, once a peer was kept, the file PEERS. One Batch is one badger transaction
// and, on Linux, one sync of the disk, elsewhere the two that badger makes of it;
// whoever wants throughput makes batches. The entries that a Batch appends to a
// group are packed into chunks, each of them one value that is kept below
// badger's value threshold: the value log is never used. Badger is run in its managed mode, with a version for
// each transaction that the store counts; a directory of either mode is read.
//
// What badger does not check is checked here, since badger itself drops what
// follows a bad record of its write-ahead log, and skips a bad table, without a
// word:
//   - each entry has a CRC-32C of its own, chained to the one before it;
//   - each change of a group rewrites the group's record, which holds the end of
//     that chain, and the record of the batch, which holds its number and a
//     digest of the records of all groups: a hole anywhere is found when the
//     store is opened or the group loaded;
//   - the watermark file holds the number of the last durable batch, so that the
//     loss of the newest batches is found as well. It is rewritten at once for
//     hard states, promises, refusals and start counters, and otherwise at most
//     about a second late; it never says more than the truth.
//
// Everything found is an error that wraps core.ErrCorrupt. Badger may have cut
// its files by then: save the directory before it is opened a second time.
//
// PEERS has what is kept of other nodes, and is replaced as a whole, with two
// syncs of its own and beside any batch. Damage of it is told by name; removing
// it while the store is closed loses only what was learned of other nodes' lives
// and addresses, and that it was removed cannot be detected.
//
// What cannot be detected: the loss of a suffix of the batches that were written
// after the last rewriting of the watermark, so of about the last second (hard
// states, promises and refusals excepted), by a disk that loses what it said was
// durable; and a disk that fills up beyond the free-space guard while badger writes to its mapped
// files, which ends the process with a fault (the data stays good).
//
// A store that was refused is opened with Options.Inspect only. The refusal
// stands in the header and is looked at before the start counter is raised, but
// after badger has replayed its write-ahead log, as it does at every opening:
// badger's files may change then, and what they hold does not.
//
// A Read or Load never waits for the batch that is being synced, and sees nothing
// of it before. The space of purged entries is reclaimed in the background. A
// truncation of more than 4,096 chunks, and a Reset that removes as many beyond its index, is carried
// out from the end in several transactions: a crash in between leaves a log that
// ends later than asked for, which Raft allows since nothing of it was
// committed.
package badger
