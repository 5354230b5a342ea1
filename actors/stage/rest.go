package stage

// rest leaves out what has brought nothing of late: after one time in vain the next
// time, then the next three, and so on up to restMax, until it brings something again.
type rest struct{ left, next int }

const restMax = 63

// rests reports whether this time is left out.
func (r *rest) rests() bool {
	if r.left == 0 {
		return false
	}
	r.left--
	return true
}

// brought is told whether a time that was not left out brought something.
func (r *rest) brought(something bool) {
	if something {
		*r = rest{}
		return
	}
	r.next = min(2*r.next+1, restMax)
	r.left = r.next
}
