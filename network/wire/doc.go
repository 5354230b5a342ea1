// Package wire turns messages into bytes and back: version 4 of the protocol
// between nodes.
//
// A connection begins with a handshake (handshake.go): each side sends the
// block of a Hello and the block of a Verdict. After that it carries frames
// (frame.go). A frame has one message, or something about the connection
// itself: proofs (proof.go), addresses, signs of life (connection.go). Messages
// are encoded as protobuf, by the schema in troupe.proto. Those that a running
// cluster sends all the time are written and read by hand, byte for byte as the
// schema says. The rest goes through generated code. The entries of an append
// are a separate block (entries.go), outside protobuf.
//
// Decoders take any bytes. For invalid ones they return an error that wraps
// [network.ErrFrame], [network.ErrFrameTooLarge] or [network.ErrVersion]. They
// allocate no more than a small multiple of what they were given, and skip
// fields that they do not know.
package wire

//go:generate protoc --proto_path=. --go_out=../.. --go_opt=module=github.com/trouperaft/troupe troupe.proto
