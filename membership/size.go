package membership

// What the parts of a configuration take beside their texts, in bytes: upper
// bounds for each way of writing them.
const (
	memberOverheadBytes = 96
	tagOverheadBytes    = 16
	foundingBytes       = 32
	targetBytes         = 96
	lastBytes           = 64
	recoveryBytes       = 64
)

// SizeBytes is what c counts where configurations are bounded in bytes: never
// less than its encoding or its size in a message.
func (c *Configuration) SizeBytes() int {
	n := foundingBytes + lastBytes + (len(c.Voters)+len(c.Outgoing))*memberOverheadBytes + sizeOf(c.Members)
	if c.Recovered != nil {
		n += recoveryBytes + len(c.Recovered.Without)*memberOverheadBytes
	}
	if t := c.Target; t != nil {
		n += targetBytes + len(t.Added)*memberOverheadBytes + sizeOf(t.Members)
		if !t.Founding { // else all members are to vote
			n += len(t.Voters) * memberOverheadBytes
		}
	}
	return n
}

func sizeOf(members []Member) int {
	n := 0
	for i := range members {
		n += memberOverheadBytes + len(members[i].Address)
		for k, v := range members[i].Tags {
			n += tagOverheadBytes + len(k) + len(v)
		}
	}
	return n
}
