package membership

// A build for 32 bits is refused here, in the package that all others import: the library
// of the actors panics there at its first actor, and badger takes sound data for damaged.
// On such a processor the length below is negative, and the compiler names it.
const troupeNeedsAProcessorOf64Bits = 32<<(^uint(0)>>63) - 64

var _ [troupeNeedsAProcessorOf64Bits]struct{}
