// Package wire turns messages into bytes and back: version 2 of the protocol
// between nodes.
//
// A connection begins with a handshake (handshake.go): the blocks of a Hello
// and of a Verdict, either way. After that it carries frames (frame.go), each
// with one message, or with what concerns the connection: proofs (proof.go),
// addresses, signs of life (connection.go). The fields of messages are protobuf's, as troupe.proto has
// them. What a running cluster sends all the time is written and read by hand,
// byte for byte as the schema says; the rest goes through generated code. The
// entries of an append are one block of their own (entries.go), outside
// protobuf.
//
// Decoders take any bytes: they return an error that wraps [network.ErrFrame],
// [network.ErrFrameTooLarge] or [network.ErrVersion], and allocate no more than
// a small multiple of what they were given. Fields that they do not know are
// skipped.
package wire

//go:generate protoc --proto_path=. --go_out=../.. --go_opt=module=github.com/trouperaft/troupe troupe.proto
